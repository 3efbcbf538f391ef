"""``laneway results``: a run's answers from the store, once or as they come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, StoreOption, VerboseOption, application, run_async
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.intake.shapes import Shape
    from laneway.store.results import Result
    from laneway.store.runs import Run

BATCH = 1000  # results read at once
EVERY_S = 0.2  # how often --follow looks
FIRST_TASKS = 1000  # whose records show the columns of a table


def register(app: typer.Typer) -> None:
    app.command("results")(results)


def results(
    run: Annotated[int, typer.Argument(help="The run; `laneway status` lists them.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Default: standard output.", show_default=False)
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Print what comes until the run has ended.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Those that failed or were cancelled.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One plain object a line, whatever the input was.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Print a run's results from the store, in the order in which they came.

    Rows look as in the run's results file; with --failed as in its errors file.
    """
    lw = application(config, store, verbose)
    pruned = run_async(_results(lw, run, out, follow=follow, failed=failed, as_json=as_json))
    if pruned:
        sys.stderr.write(f"{pruned:,} answers are not among them: they were pruned from the store\n")
        raise SystemExit(1)


async def _results(lw: Laneway, run_id: int, out: Path | None, *, follow: bool, failed: bool, as_json: bool) -> int:
    """Returns how many answers are gone from the store."""
    from laneway.files import open_private
    from laneway.intake.shapes import PlainRows
    from laneway.task import State

    try:
        if lw.config.hide_content and out is None and sys.stdout.isatty():
            raise UsageError(
                "hide_content is set: answers are not shown on a terminal", hint="write them to a file: -o"
            )
        run = await lw.store.get_run(run_id)
        shape = PlainRows() if as_json else await _shape(lw, run, out)
        file = sys.stdout.buffer if out is None else open_private(out, "wb")
        if not failed:
            file.write(shape.head())
        pruned = 0
        async for batch in _batches(lw, run, follow=follow, failed=failed):
            there = [one for one in batch if failed or as_json or one.state is State.SUCCEEDED]
            row = shape.error_row if failed else shape.row
            file.writelines(row(one) for one in there if not one.pruned)
            file.flush()
            pruned += sum(one.pruned and one.state is State.SUCCEEDED for one in there)
        return pruned
    finally:
        await lw.close()


async def follow_run(lw: Laneway, run_id: int) -> int:
    """Print a run's results in plain fields until it has ended. Returns how many failed."""
    from laneway.intake.shapes import PlainRows
    from laneway.task import State

    shape = PlainRows()
    failed = 0
    async for batch in _batches(lw, await lw.store.get_run(run_id), follow=True, failed=False):
        sys.stdout.buffer.writelines(shape.row(one) for one in batch)
        sys.stdout.buffer.flush()
        failed += sum(one.state is not State.SUCCEEDED for one in batch)
    return failed


async def _batches(lw: Laneway, run: Run, *, follow: bool, failed: bool) -> AsyncIterator[list[Result]]:
    """What has ended, in the order of settlement; with ``follow`` until nothing more comes."""
    cursor = 0
    while True:
        ended = not follow or await _ended(lw, run)  # asked before looking: nothing comes after that
        while batch := await (lw.store.failed_after if failed else lw.store.results_after)(run, cursor, BATCH):
            yield batch
            cursor = batch[-1].seq
        if ended:
            return
        await asyncio.sleep(EVERY_S)


async def _ended(lw: Laneway, run: Run) -> bool:
    """Whether nothing more will come. The run that the Python API submits to has no end."""
    if run.info.get("kind") == "api" or not (await lw.store.get_run(run.id)).sealed:
        return False
    tally = await lw.store.tally(run.id)
    return not any(n for cell in tally for state, n in cell.counts.items() if not state.ended)


async def _shape(lw: Laneway, run: Run, out: Path | None) -> Shape:
    from laneway.intake.kind import Kind
    from laneway.intake.shapes import shape_for

    kind = Kind.BATCH if run.info.get("kind") == Kind.BATCH else Kind.RECORDS
    out = out or Path("-.jsonl")
    columns = await _columns(lw, run) if out.suffix.casefold() == ".csv" else []
    return shape_for(out, kind, lambda: columns)


async def _columns(lw: Laneway, run: Run) -> list[str]:
    """The names in the records of the run's first tasks, in their order."""
    import orjson

    from laneway.store.steering import Selector

    names: dict[str, None] = {}
    ids = await lw.store.select(Selector(run_id=run.id))
    for task in sorted(await lw.store.get_tasks(ids[:FIRST_TASKS]), key=lambda task: task.id):
        names.update(dict.fromkeys(orjson.loads(task.record) if task.record else ()))
    return list(names)
