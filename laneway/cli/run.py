"""``laneway run``: a file of tasks to a file of results."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import (
    ConfigOption,
    JsonOption,
    StoreOption,
    VerboseOption,
    application,
    import_aside,
    print_json,
    process_started,
    run_async,
)
from laneway.cli.input_options import (
    AppOption,
    BadInput,
    BadInputOption,
    ConcurrencyOption,
    FlowOption,
    FreshOption,
    InputArguments,
    LaneOption,
    LimitOption,
    ModelOption,
    OutOption,
    PromptOption,
    SamplesOption,
    TriageOption,
    TypeOption,
    UrgencyOption,
    read_options,
)
from laneway.cli.proposing import proposing

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.runs.batch import Batch, BatchOptions
    from laneway.app.runs.part import Helpers, Helping
    from laneway.app.runs.summary import Summary


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    inputs: InputArguments,
    out: OutOption = None,
    type_: TypeOption = None,
    flow: FlowOption = None,
    prompt: PromptOption = None,
    model: ModelOption = None,
    lane: LaneOption = None,
    urgency: UrgencyOption = None,
    triage: TriageOption = False,
    concurrency: ConcurrencyOption = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="Stop at this many USD.", show_default=False)] = None,
    limit: LimitOption = None,
    samples: SamplesOption = 1,
    fresh: FreshOption = False,
    on_bad_input: BadInputOption = BadInput.stop,
    app: AppOption = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    processes: Annotated[
        int, typer.Option(min=1, help="So many that work on it, where one core is not enough.", show_default=True)
    ] = 1,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Run a file of AI tasks and write their results as they settle.

    The same command again goes on where it stopped: finished tasks are kept, failed ones tried again.
    With --flow (or --type and a Python task) the app's function is called with each record's fields.
    """
    started = process_started()
    import_aside("aiohttp")  # it reads the system's certificates, which other imports need not wait for
    from laneway.app.runs.batch import BatchOptions
    from laneway.app.runs.taking_in import OnBadInput
    from laneway.cli.calling import calls_of

    lw, calls = calls_of(application(config, store, verbose), flow, type_, prompt, model, app, store, triage=triage)
    read = read_options(
        lw,
        type=type_,
        prompt=prompt,
        model=model,
        lane=lane,
        urgency=urgency,
        triage=triage,
        limit=limit,
        samples=samples,
        also=inputs[1:],
        calls=calls,
    )
    options = BatchOptions(
        input=inputs[0],
        out=out,
        read=read,
        concurrency=concurrency,
        max_cost=max_cost,
        fresh=fresh,
        on_bad_input=OnBadInput(on_bad_input.value),
        processes=processes,
    )
    own_app = None if calls is None else app or lw.config.app
    helpers = partial(_helpers, own_app, concurrency, config, store, verbose)
    with proposing(inputs, as_json):
        summary = run_async(execute(lw, options, started, helpers))
    report(summary, as_json)
    raise SystemExit(summary.exit_code)


async def execute(lw: Laneway, options: BatchOptions, started: float, helpers: Helpers | None = None) -> Summary:
    """Run a batch with signals and, on a terminal, a display."""
    from laneway.app.runs.batch import Batch

    batch = Batch(lw, options, process_started=started, meanwhile=_prepare_report, helpers=helpers)
    loop = asyncio.get_running_loop()
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


def _helpers(
    app: str | None,
    concurrency: int | None,
    config: list[Path] | None,
    store: str | None,
    verbose: int,
    run_id: int,
    in_flight: Sequence[int],
    died: Callable[[], Awaitable[None]],
) -> Helping:
    """Workers on this run alone, each with as many calls in flight."""
    from laneway.cli.processes import Processes
    from laneway.cli.worker import child_options

    bounds = [("--run", run_id), ("--in-flight", in_flight[0]), ("--concurrency", concurrency)]
    return Processes(child_options(app, config, store, verbose, bounds), len(in_flight), helping=True, died=died)


def _prepare_report() -> None:
    """Import what draws the summary."""
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
