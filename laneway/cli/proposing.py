"""Records or documents without a prompt: the error shows the config and the prompt that `laneway init` would write."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from laneway.cli.common import command_name
from laneway.errors import LanewayError, NoPrompt

if TYPE_CHECKING:
    from laneway.setup.proposal import Proposal
    from laneway.setup.starting import Surroundings


@contextmanager
def proposing(inputs: Sequence[str], as_json: bool) -> Iterator[None]:
    """Around a command that reads tasks. Nothing is written without consent, which only a terminal can give."""
    try:
        yield
    except NoPrompt as error:
        if len(inputs) != 1 or inputs[0] == "-":
            raise
        command = command_name(f"laneway init {shlex.quote(inputs[0])}")
        better = NoPrompt(
            error.message, hint=f"`{command}` writes a config and a prompt to change, or give --prompt FILE"
        )
        if as_json:
            raise better from None
        try:
            _show(inputs[0], better)
        except LanewayError:  # what cannot be looked at cannot be proposed for
            raise better from None
        raise SystemExit(better.exit_code) from None


def _show(argument: str, error: NoPrompt) -> None:
    from laneway.setup import starting

    around = starting.look_around(argument, env=os.environ, cwd=Path.cwd())
    proposed = starting.proposal(around)
    ask = sys.stdin.isatty() and sys.stderr.isatty()
    sys.stderr.write(f"laneway: {error.message}\n{_would_be(proposed, around)}\n")
    if not (ask and typer.confirm("Write these files?", default=True, err=True)):
        sys.stderr.write(f"\n  → {error.hint}\n")
        return
    done = starting.carry_out(proposed, around, env=os.environ, cwd=Path.cwd(), force=False)
    for path in done.written:
        sys.stderr.write(f"wrote {path}\n")
    sys.stderr.write("\nNext:\n" + "".join(f"  {command_name(step.command)}\n" for step in done.steps))


def _would_be(proposed: Proposal, around: Surroundings) -> str:
    """The files in short: without their comments."""
    parts = []
    for file in proposed.files:
        if around.config is not None and file.path == "laneway.toml":
            continue
        bare = _bare(file.text) if file.path.endswith(".toml") else file.text.partition("-#}\n")[2] or file.text
        indented = "\n".join(f"  | {line}".rstrip() for line in bare.rstrip().splitlines())
        parts.append(f"\n  {file.path} would be\n{indented}")
    return "\n".join(parts)


def _bare(text: str) -> str:
    """TOML without comments and without a gap between tables that only comments made."""
    lines = [line.partition("  # ")[0].rstrip() for line in text.splitlines() if not line.startswith("#")]
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    return "\n".join(kept).strip()
