"""``laneway doctor``: what works, what does not, and the next step."""

from __future__ import annotations

import os
import sys
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
    """Check keys, endpoints, limits and store; name the next step.

    Also looks at the config, the clock and the disk. Costs nothing unless --call is given: endpoints are only asked
    for their list of models. Exit code 1 when something will not work.
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
    from laneway.cli.layout import beside

    coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    lines = []
    for finding in found:
        label = finding.status.value
        line = beside(label, f"{finding.check}: {finding.said}", LABEL)
        lines.append(f"\x1b[{_COLOURS[label]}m{label}\x1b[0m{line.removeprefix(label)}" if coloured else line)
        if finding.next:
            first, *more = finding.next.splitlines()
            lines.append(beside("", f"→ {first}", LABEL))
            lines += [beside("", line.strip(), LABEL + 2) for line in more if line.strip()]  # lines for the config
    if problems or warnings:
        parts = [f"{n} {word}{'s' if n > 1 else ''}" for n, word in ((problems, "problem"), (warnings, "warning")) if n]
        lines += ["", ", ".join(parts)]
    else:
        lines += ["", "all is well"]
    return "\n".join(lines) + "\n"
