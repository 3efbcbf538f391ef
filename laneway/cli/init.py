"""``laneway init``: a config and a prompt for what is here."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import JsonOption, command_name, print_json

if TYPE_CHECKING:
    from laneway.setup.proposal import Proposal
    from laneway.setup.starting import Outcome, Surroundings


LABEL = 7  # characters of "found" and "wrote", with a gap


def register(app: typer.Typer) -> None:
    app.command("init")(init)


def init(
    data: Annotated[
        str | None,
        typer.Argument(help="A table, a file of records or a folder of documents.", metavar="[FILE|FOLDER]"),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a laneway.toml and an example prompt for what is here.

    Looks for data, for keys in the environment and for a model server on this machine. Existing files are kept.
    """
    from laneway.setup import starting

    around = starting.look_around(data, env=os.environ, cwd=Path.cwd())
    ask = not (yes or as_json) and sys.stdin.isatty() and sys.stderr.isatty()
    proposed = starting.proposal(around, _ask_provider(around) if ask else None)
    if ask:
        _ask_consent(proposed, force)
    done = starting.carry_out(proposed, around, env=os.environ, cwd=Path.cwd(), force=force)
    if as_json:
        print_json(_json(proposed, done))
    else:
        sys.stdout.write(_text(proposed, done, told=ask))


def _ask_provider(around: Surroundings) -> str | None:
    names = [provider.preset for provider in around.providers]
    if len(names) < 2:
        return None
    while True:
        answer = typer.prompt(f"Which provider first ({', '.join(names)})?", default=names[0], err=True)
        if answer.strip().casefold() in names:
            return str(answer.strip().casefold())


def _ask_consent(proposed: Proposal, force: bool) -> None:
    there = [file.path for file in proposed.files if force or not Path(file.path).exists()]
    from laneway.cli.layout import beside

    for line in proposed.found:
        sys.stderr.write(beside("found", line, LABEL) + "\n")
    if there and not typer.confirm(f"Write {', '.join(there)}?", default=True, err=True):
        raise typer.Abort


def _json(proposed: Proposal, done: Outcome) -> dict[str, Any]:
    return {
        "written": list(done.written),
        "kept": list(done.kept),
        "found": list(proposed.found),
        "practice": bool(proposed.practice_port),
        "next": [{"command": command_name(step.command), "why": step.why} for step in done.steps],
    }


def _text(proposed: Proposal, done: Outcome, *, told: bool) -> str:
    """``told``: what was found has been said already."""
    from laneway.cli.layout import beside, commands

    lines = [] if told else [beside("found", line, LABEL) for line in proposed.found]
    lines += [beside("wrote", path, LABEL) for path in done.written]
    lines += [beside("kept", f"{path}, which was there already", LABEL) for path in done.kept]
    lines += ["", "Next:", *commands([(command_name(step.command), step.why) for step in done.steps])]
    return "\n".join(lines) + "\n"
