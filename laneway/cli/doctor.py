"""``laneway doctor``: what works, what does not, and the next step."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, print_json, run_async

if TYPE_CHECKING:
    from laneway.setup.doctor.findings import Finding

LABEL = 9  # characters of "warning" and "problem", with a gap
_COLOURS = {"ok": "32", "warning": "33", "problem": "31"}


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    call: Annotated[
        bool, typer.Option("--call", help="Also make one tiny call per model. It costs a fraction of a cent.")
    ] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Check config, keys, endpoints, limits, store and clock, and name the next step.

    Costs nothing unless --call is given: endpoints are only asked for their list of models. Exit code 1 when
    something will not work.
    """
    from laneway.logs import configure
    from laneway.setup.doctor.examine import Question, examine
    from laneway.setup.doctor.findings import Status, count

    configure(verbose)
    paths = [path.absolute() for path in config or ()]
    found = run_async(examine(Question(paths, store, os.environ, Path.cwd(), call)))
    problems, warnings = count(found, Status.PROBLEM), count(found, Status.WARNING)
    if as_json:
        print_json({"problems": problems, "warnings": warnings, "checks": [finding.as_json() for finding in found]})
    else:
        sys.stdout.write(_text(found, problems, warnings))
    raise SystemExit(1 if problems else 0)


def _text(found: Sequence[Finding], problems: int, warnings: int) -> str:
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else 10_000
    lines = []
    for finding in found:
        label = f"{finding.status.value:<{LABEL}}"
        if terminal and "NO_COLOR" not in os.environ:
            label = f"\x1b[{_COLOURS[finding.status.value]}m{label}\x1b[0m"
        lines.append(label + _wrapped(f"{finding.check}: {finding.said}", width))
        if finding.next:
            lines.append(" " * LABEL + _wrapped(f"→ {finding.next}", width))
    if problems or warnings:
        parts = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((problems, "problem"), (warnings, "warning")) if n]
        lines += ["", ", ".join(parts)]
    else:
        lines += ["", "all is well"]
    return "\n".join(lines) + "\n"


def _wrapped(text: str, width: int) -> str:
    """Wrapped behind the label, without breaking paths and commands apart."""
    filled = textwrap.wrap(
        "".join(char if char.isprintable() else " " for char in text),
        max(30, width - LABEL - 1),
        subsequent_indent=" " * LABEL + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(filled)
