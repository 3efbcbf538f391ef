"""``laneway status``, ``explain``, ``results``, ``cancel``, ``retry``: looking at a store, and small changes to it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.interface import CellTally, Run
    from laneway.task import Attempt, Task

TaskArgument = Annotated[str, typer.Argument(help="A task's id or key.", metavar="TASK")]
PREVIEW = 300  # characters of a text that are shown


def register(app: typer.Typer) -> None:
    app.command("status")(status)
    app.command("explain")(explain)
    app.command("results")(results)
    app.command("cancel")(cancel)
    app.command("retry")(retry)


def status(
    run: Annotated[int | None, typer.Argument(help="Only this run.", show_default=False)] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """What runs, what waits, what has failed: runs, lanes, workers."""
    lw = application(config, store, verbose)
    data = run_async(_status(lw, run))
    if as_json:
        print_json(data)
    else:
        sys.stdout.write(_status_text(data))


async def _status(lw: Laneway, run_id: int | None) -> dict[str, Any]:
    try:
        runs = [await lw.store.get_run(run_id)] if run_id is not None else await lw.store.runs(10)
        tally = await lw.store.tally(run_id)
        workers = await lw.store.workers(lw.clock.now())
        return {
            "runs": [_run(one, [cell for cell in tally if cell.run_id == one.id]) for one in runs],
            "lanes": _lanes(tally),
            "workers": [
                {
                    "id": w.id,
                    "pid": w.pid,
                    "running": w.running,
                    "heartbeat_age_s": round(lw.clock.now() - w.heartbeat_at, 1),
                }
                for w in workers
            ],
        }
    finally:
        await lw.close()


def _run(run: Run, cells: list[CellTally]) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "out": run.info.get("out") or run.identity,
        "tasks": _counts(cells),
        "spent_usd": round(run.spent, 6),
        "max_cost_usd": run.max_cost,
    }


def _counts(cells: list[CellTally]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for cell in cells:
        for state, n in cell.counts.items():
            if n:
                counts[state.value] = counts.get(state.value, 0) + n
    return counts


def _lanes(tally: list[CellTally]) -> dict[str, dict[str, int]]:
    return {lane: _counts([c for c in tally if c.lane == lane]) for lane in sorted({c.lane for c in tally})}


def _status_text(data: dict[str, Any]) -> str:
    def counts(tasks: dict[str, int]) -> str:
        return ", ".join(f"{n:,} {state}" for state, n in tasks.items()) or "empty"

    lines = []
    for run in data["runs"]:
        lines.append(f"run {run['run_id']}: {counts(run['tasks'])}; ${run['spent_usd']:.4f} spent   {run['out']}")
    lines += [f"lane {lane}: {counts(tasks)}" for lane, tasks in data["lanes"].items()]
    for worker in data["workers"]:
        lines.append(f"worker {worker['id']}: {worker['running']} running, heartbeat {worker['heartbeat_age_s']} s ago")
    return "\n".join(lines or ["nothing here yet; `laneway run FILE` or `laneway demo` begins"]) + "\n"


def explain(
    task: TaskArgument,
    run: Annotated[int | None, typer.Option(help="Look only in this run.", show_default=False)] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Why a task went where it went, and what its calls came to."""
    lw = application(config, store, verbose)
    found, attempts = run_async(_find(lw, task, run))
    if as_json:
        print_json(_task_json(found, attempts))
    else:
        sys.stdout.write(_task_text(found, attempts))


async def _find(lw: Laneway, ref: str, run_id: int | None) -> tuple[Task, list[Attempt]]:
    try:
        task = await lw.store.find_task(ref, run_id)
        return task, await lw.store.attempts(task.id)
    finally:
        await lw.close()


def _task_json(task: Task, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        "id": task.id,
        "key": task.key,
        "run_id": task.run_id,
        "type": task.type,
        "state": task.state.value,
        "model": task.model,
        "route": task.route.as_json(),
        "error": dict(task.error) if task.error else None,
        "attempts": [
            {
                "number": number,
                "model": a.model,
                "account": a.account,
                "outcome": a.outcome.value if a.outcome else "running",
                "started_at": a.started_at,
                "latency_s": a.latency,
                "input_tokens": a.usage.input_tokens if a.usage else None,
                "output_tokens": a.usage.output_tokens if a.usage else None,
                "cost_usd": a.cost,
                "error": dict(a.error) if a.error else None,
            }
            for number, a in enumerate(attempts, 1)
        ],
    }


def _task_text(task: Task, attempts: list[Attempt]) -> str:
    from laneway.triage.pipeline import explain as explain_route

    lines = [
        f"task {task.id}" + (f"  {printable(task.key)}" if task.key else ""),
        f"  type: {task.type}   state: {task.state.value}",
    ]
    lines += ["triage", *(f"  {line}" for line in explain_route(task.route))]
    lines.append("attempts" if attempts else "attempts: none yet")
    for number, a in enumerate(attempts, 1):
        outcome = a.outcome.value if a.outcome else "running"
        took = "" if a.latency is None else f" after {a.latency:.2f} s"
        usage = f", {a.usage.input_tokens}+{a.usage.output_tokens} tokens" if a.usage else ""
        cost = "" if a.cost is None else f", ${a.cost:.6f}"
        lines.append(
            f"  {number}. {a.model or 'Python'} on {a.account or 'this machine'}: {outcome}{took}{usage}{cost}"
        )
        if a.error:
            lines.append(f"     {a.error.get('class')}/{a.error.get('code')}: {printable(str(a.error.get('message')))}")
    if task.output is not None:
        lines.append(f"answer\n  {printable(_answer(task))[:PREVIEW]}")
    return "\n".join(lines) + "\n"


def _answer(task: Task) -> str:
    from laneway.providers.chat import answer_text
    from laneway.task import Wire

    output = task.output or b""
    text = answer_text(Wire.CHAT, output) if task.model else output.decode("utf-8", "replace")
    return text or output.decode("utf-8", "replace")


def printable(text: str) -> str:
    """Text from a model or a file, without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def results(
    run: Annotated[int, typer.Argument(help="The run; `laneway status` lists them.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Default: standard output.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Print a run's results again, from the store."""
    lw = application(config, store, verbose)
    run_async(_results(lw, run, out))


async def _results(lw: Laneway, run_id: int, out: Path | None) -> None:
    from laneway.intake.shapes import shape_for
    from laneway.task import State

    try:
        run = await lw.store.get_run(run_id)
        shape = shape_for(out or Path("-.jsonl"), str(run.info.get("kind")), lambda: run.info.get("columns", []))
        cursor = 0
        write = sys.stdout.buffer.write if out is None else out.open("wb").write
        while batch := await lw.store.results_after(run, cursor, 1000):
            write(b"".join(shape.row(one) for one in batch if one.state is State.SUCCEEDED))
            cursor = batch[-1].seq
    finally:
        await lw.close()


def cancel(
    task: TaskArgument,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Cancel a task; one that runs is not tried again."""
    _change(application(config, store, verbose), task, "cancel", as_json)


def retry(
    task: TaskArgument,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Queue a failed or cancelled task again."""
    _change(application(config, store, verbose), task, "retry", as_json)


def _change(lw: Laneway, ref: str, verb: str, as_json: bool) -> None:
    async def change() -> tuple[int, int]:
        try:
            task = await lw.store.find_task(ref)
            do = lw.store.cancel if verb == "cancel" else lw.store.retry
            return task.id, await do([task.id], lw.clock.now())
        finally:
            await lw.close()

    task_id, changed = run_async(change())
    if as_json:
        print_json({"task": task_id, "changed": changed})
    else:
        sys.stdout.write(f"task {task_id}: {'done' if changed else f'nothing to {verb}'}\n")
