"""The options that say what is to be run and how: of ``run`` and of ``plan``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli import completing
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.intake.options import ReadOptions, RecordType
    from laneway.task import Urgency


class BadInput(StrEnum):
    stop = "stop"
    skip = "skip"


InputArguments = Annotated[
    list[str],
    typer.Argument(
        help="A .jsonl, .csv or .xlsx file, a folder, a pattern like 'claims/*.pdf', or - for standard input.",
        metavar="INPUT...",
    ),
]
OutOption = Annotated[Path | None, typer.Option("-o", "--out", help="Results: .jsonl or .csv.", show_default=False)]
TypeOption = Annotated[
    str | None,
    typer.Option(
        "--type",
        help="The records' task type: of the config, or a Python task.",
        autocompletion=completing.types,
        show_default=False,
    ),
]
FlowOption = Annotated[
    str | None, typer.Option("--flow", help="Run this flow of the app once for each record.", show_default=False)
]
AppOption = Annotated[
    str | None,
    typer.Option("--app", help="Where flows and Python tasks are: module:name.", show_default=False),
]
PromptOption = Annotated[
    Path | None, typer.Option("--prompt", help="A Jinja2 template as the prompt.", show_default=False)
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", help="Use this model for every task.", autocompletion=completing.models, show_default=False
    ),
]
LaneOption = Annotated[
    str | None,
    typer.Option("--lane", help="Put every task into this lane.", autocompletion=completing.lanes, show_default=False),
]
UrgencyOption = Annotated[
    str | None,
    typer.Option(
        "--urgency",
        help="immediate, urgent, standard, relaxed.",
        autocompletion=completing.urgencies,
        show_default=False,
    ),
]
TriageOption = Annotated[bool, typer.Option("--triage", help="Let triage choose models that the input names.")]
ConcurrencyOption = Annotated[
    int | None, typer.Option("--concurrency", min=1, help="Calls at once, at most.", show_default=False)
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N tasks.", show_default=False)]
SamplesOption = Annotated[int, typer.Option("--samples", min=1, help="Answers for each task.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Forget earlier results and do everything anew.")]
BadInputOption = Annotated[
    BadInput, typer.Option("--on-bad-input", help="Lines that cannot be used: stop, or skip them.")
]


def read_options(
    lw: Laneway,
    *,
    type: str | None,
    prompt: Path | None,
    model: str | None,
    lane: str | None,
    urgency: str | None,
    triage: bool,
    limit: int | None,
    samples: int,
    also: list[str],
    calls: RecordType | None = None,
) -> ReadOptions:
    """Raises InputError for an unknown model, UsageError for an unknown urgency."""
    from laneway.intake.options import ReadOptions

    if model is not None and lw.config.models and model not in lw.config.models and model != "auto":
        lw.new_catalog(keys_needed=False).model(model)
    return ReadOptions(
        type=type,
        prompt=prompt,
        model=None if model == "auto" else model,
        lane=lane,
        urgency=_urgency(lw, urgency),
        triage=triage or model == "auto",
        limit=limit,
        samples=samples,
        also=tuple(also),
        calls=calls,
    )


def _urgency(lw: Laneway, word: str | None) -> Urgency | None:
    if word is None:
        return None
    try:
        return lw.config.urgency_of(word)
    except ValueError as error:
        raise UsageError(str(error), hint="or add the word to an urgency's aliases in laneway.toml") from None
