"""``laneway run``: a file of tasks to a file of results."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import (
    ConfigOption,
    JsonOption,
    StoreOption,
    VerboseOption,
    application,
    print_json,
    process_started,
    run_async,
)
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.batch import Batch, BatchOptions
    from laneway.app.laneway import Laneway
    from laneway.app.summary import Summary
    from laneway.task import Urgency


class BadInput(StrEnum):
    stop = "stop"
    skip = "skip"


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="A .jsonl, .csv or .xlsx file, a folder, a pattern like 'claims/*.pdf', or - for standard input.",
            metavar="INPUT...",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Results: .jsonl or .csv.", show_default=False)
    ] = None,
    type_: Annotated[str | None, typer.Option("--type", help="The records' task type.", show_default=False)] = None,
    prompt: Annotated[Path | None, typer.Option(help="A Jinja2 template as the prompt.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Use this model for every task.", show_default=False)] = None,
    lane: Annotated[str | None, typer.Option(help="Put every task into this lane.", show_default=False)] = None,
    urgency: Annotated[
        str | None, typer.Option(help="immediate, urgent, standard, relaxed.", show_default=False)
    ] = None,
    triage: Annotated[bool, typer.Option("--triage", help="Let triage choose models that the input names.")] = False,
    concurrency: Annotated[int | None, typer.Option(min=1, help="Calls at once, at most.", show_default=False)] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop at this many USD.", show_default=False)] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N tasks.", show_default=False)] = None,
    samples: Annotated[int, typer.Option(min=1, help="Answers for each task.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget earlier results and do everything anew.")] = False,
    on_bad_input: Annotated[
        BadInput, typer.Option(help="Lines that cannot be used: stop, or skip them.")
    ] = BadInput.stop,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Run a file of AI tasks and write their results as they settle.

    The same command again goes on where it stopped: finished tasks are kept, failed ones tried again.
    """
    started = process_started()
    from laneway.app.batch import BatchOptions
    from laneway.app.taking_in import OnBadInput
    from laneway.intake.options import ReadOptions

    lw = application(config, store, verbose)
    if model is not None and lw.config.models and model not in lw.config.models and model != "auto":
        lw.catalog.model(model)
    read = ReadOptions(
        type=type_,
        prompt=prompt,
        model=None if model == "auto" else model,
        lane=lane,
        urgency=_urgency(lw, urgency),
        triage=triage or model == "auto",
        limit=limit,
        samples=samples,
        also=tuple(inputs[1:]),
    )
    options = BatchOptions(
        input=inputs[0],
        out=out,
        read=read,
        concurrency=concurrency,
        max_cost=max_cost,
        fresh=fresh,
        on_bad_input=OnBadInput(on_bad_input.value),
    )
    summary = run_async(execute(lw, options, started))
    report(summary, as_json)
    raise SystemExit(summary.exit_code)


def _urgency(lw: Laneway, word: str | None) -> Urgency | None:
    if word is None:
        return None
    try:
        return lw.config.urgency_of(word)
    except ValueError as error:
        raise UsageError(str(error), hint="or add the word to an urgency's aliases in laneway.toml") from None


async def execute(lw: Laneway, options: BatchOptions, started: float) -> Summary:
    """Run a batch with signals and, on a terminal, a display."""
    from laneway.app.batch import Batch

    batch = Batch(lw, options, process_started=started)
    loop = asyncio.get_running_loop()
    loop.run_in_executor(None, _prepare_report)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _interrupt, batch)
    try:
        if sys.stderr.isatty():
            from laneway.cli.progress import shown

            async with shown(batch):
                return await batch.run()
        return await batch.run()
    finally:
        await lw.close()


def _prepare_report() -> None:
    """Import what draws the summary while the first calls are on their way."""
    for module in ("laneway.cli.report", "rich.console", "rich.table"):
        importlib.import_module(module)


def _interrupt(batch: Batch) -> None:
    if batch.interrupt() == 1:
        sys.stderr.write("\nfinishing what is in flight; once more to break off\n")


def report(summary: Summary, as_json: bool) -> None:
    """The summary for people on stderr, and with ``--json`` the object as the last line of stdout."""
    from laneway.cli.report import summary_lines

    sys.stderr.write(summary_lines(summary))
    if as_json:
        print_json(summary.as_json())
