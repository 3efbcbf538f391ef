"""``laneway status``: what runs, what waits and for what, what somebody paused, how the accounts are."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.ago import ago, ahead
from laneway.cli.common import (
    ConfigOption,
    JsonOption,
    StoreOption,
    VerboseOption,
    print_json,
    printable,
    run_async,
    settings,
)
from laneway.cli.status_accounts import SAID, account_data, account_lines
from laneway.cli.status_workers import worker_data, worker_lines
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.store.cells import CellTally
    from laneway.store.interface import Store
    from laneway.store.runs import Run

DAY_S = 86_400.0
RUNS = 10  # of the newest that are shown
COLUMNS = (("ready",), ("running",), ("triaging", "waiting"), ("succeeded",), ("failed",), ("cancelled",))
HEADS = ("ready", "running", "waiting", "done", "failed", "cancelled")
WAITS = {
    "retry": "for another try",
    "scheduled": "for the time set",
    "shared": "for an earlier task of the same key",
    "budget": "for the budget of their type",
    "triage": "for the classifier's verdict",
    "children": "for tasks that they began (--tree shows them)",
    "event": "for an event from outside",
}


def register(app: typer.Typer) -> None:
    app.command("status")(status)


def status(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="Only this run; with --tree also flow 7, or a flow's key.", metavar="RUN", show_default=False
        ),
    ] = None,
    tree: Annotated[bool, typer.Option("--tree", help="A run's flows, or one flow, with all that they began.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """What runs, what waits, what is paused, what has failed: runs, lanes, accounts, workers."""
    loaded, _ = settings(config, verbose)
    if tree:
        from laneway.cli.status_tree import show_tree

        show_tree(loaded, store, what or [], as_json=as_json)
        return
    data = run_async(_status(loaded, store, _number(what)), brief=True)
    if as_json:
        print_json(data)
    else:
        sys.stdout.write(status_text(data, time.time()))


def _number(what: list[str] | None) -> int | None:
    """Of the run. Raises UsageError."""
    words = what[1:] if what and what[0] == "run" else what or []
    if not words:
        return None
    if len(words) > 1 or not words[0].isdecimal():
        raise UsageError(
            f"{' '.join(words)!r} is not a run's number", hint="`laneway explain TASK` shows a task, --tree a flow"
        )
    return int(words[0])


async def _status(config: Config, place: str | None, run_id: int | None) -> dict[str, Any]:
    """Without a ``Laneway``: what works is not even imported."""
    from laneway.app.live_limits import limits_json, limits_set
    from laneway.app.settings import configured_store
    from laneway.app.standing import standings

    store, now = configured_store(place, config, os.environ), time.time()
    try:
        budgets = await standings(config, store, now)
        runs = [await store.get_run(run_id)] if run_id is not None else await store.runs(RUNS)
        tally = await store.tally(run_id)
        return {
            "runs": [_run(one, [cell for cell in tally if cell.run_id == one.id]) for one in runs],
            "lanes": {lane: _counts(c for c in tally if c.lane == lane) for lane in sorted({c.lane for c in tally})},
            "paused": [
                {"kind": pause.kind.value, "name": pause.name, "since": pause.since}
                for pause in await store.pauses()
                if pause.since is not None
            ],
            "limits_set": limits_json(config, await limits_set(store)),
            "budgets": [{**one.as_json(), "said": f"budget of {one.budget}: {one}"} for one in budgets],
            "waiting": [
                {"reason": one.reason.value, "tasks": one.tasks, "next_at": one.next_at}
                for one in await store.waiting(run_id)
            ],
            "triage": await _triage(config, store, run_id, now),
            "accounts": {
                name: account_data(state, saved_at)
                for name, (state, saved_at) in (await store.states("account:")).items()
            },
            "workers": worker_data(await store.workers(now), await store.doing(), await store.parts(now), now),
        }
    finally:
        await store.close()


async def _triage(config: Config, store: Store, run_id: int | None, now: float) -> dict[str, Any] | None:
    """What the classifier was asked: of a run, else in the last day."""
    if config.triage.classifier is None:
        return None
    asked = await store.asked(run_id, 0.0 if run_id is not None else now - DAY_S)
    return {**asked._asdict(), "since": None if run_id is not None else now - DAY_S}


def _run(run: Run, cells: Sequence[CellTally]) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "out": run.info.get("out") or run.identity,
        "tasks": _counts(cells),
        "spent_usd": round(run.spent, 6),
        "max_cost_usd": run.max_cost,
    }


def _counts(cells: Iterable[CellTally]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for cell in cells:
        for state, n in cell.counts.items():
            if n:
                counts[state.value] = counts.get(state.value, 0) + n
    return counts


def status_text(data: Mapping[str, Any], now: float) -> str:
    """The same for people, in 80 columns."""
    if not (data["runs"] or data["workers"] or data["paused"]):
        return "nothing here yet; `laneway run FILE` or `laneway demo` begins\n"
    held = {f"{one['kind']} {one['name']}" for one in data["paused"]}
    lines: list[str] = []
    for run in data["runs"]:
        lines += _run_lines(run, f"run {run['run_id']}" in held)
    if data["lanes"]:
        width = min(32, max(len(lane) + 9 * (f"lane {lane}" in held) for lane in data["lanes"]))
        lines.append(f"{'lane':{max(4, width)}}" + "".join(f"{head:>10}" for head in HEADS[:-1]))
        for lane, tasks in data["lanes"].items():
            name = lane + (" (paused)" if f"lane {lane}" in held else "")
            cells = (sum(tasks.get(state, 0) for state in states) for states in COLUMNS[:-1])
            lines.append(f"{name:{max(4, width)}}" + "".join(f"{n:>10,}" for n in cells))
    lines += [_waiting_line(one, now) for one in data["waiting"]]
    lines += [one["said"] for one in data["budgets"]]
    lines += _triage_lines(data.get("triage"))
    accounts = {**{one["name"]: {} for one in data["paused"] if one["kind"] == "account"}, **data["accounts"]}
    for name, state in accounts.items():
        lines += account_lines(name, state, paused=f"account {name}" in held, now=now)
    for one in data["workers"]:
        lines += worker_lines(one, now)
    lines += [set_line(one, now) for one in data.get("limits_set", ())]
    for one in data["paused"]:
        thing = f"{one['kind']} {one['name']}"
        lines.append(f"{thing} was paused {ago(one['since'], now)}; `laneway resume {thing}` lets it go on")
    return "\n".join(lines) + "\n"


def set_line(one: Mapping[str, Any], now: float) -> str:
    """What somebody set of a lane's or an account's limits."""
    configured = one["configured"]
    values = ", ".join(
        f"{SAID.get(limit, limit)} {one[limit]:g} (config: {'none' if value is None else f'{value:g}'})"
        for limit, value in configured.items()
    )
    return (
        f"{one['kind']} {printable(one['name'])}: {values}, set by {printable(one['set_by'])} {ago(one['set_at'], now)}"
    )


def _triage_lines(asked: Mapping[str, Any] | None) -> list[str]:
    if not asked or not asked["asked"]:
        return []
    cost = "unknown" if asked["cost_usd"] is None else f"${asked['cost_usd']:.4f}"
    when = "" if asked["since"] is None else " in the last 24 h"
    said = f"classifier{when}: asked about {asked['asked']:,} tasks in {asked['calls']:,} calls, {cost}"
    silent = asked["abstained"] + asked["unheard"]
    return [said + (f"; of {silent:,} it said nothing" if silent else "")]


def _run_lines(run: Mapping[str, Any], paused: bool) -> list[str]:
    from laneway.app.jobs import API_RUN

    counts = ", ".join(f"{n:,} {state}" for state, n in run["tasks"].items()) or "empty"
    budget = "" if run["max_cost_usd"] is None else f" of ${run['max_cost_usd']:g}"
    said = f"run {run['run_id']}{' (paused)' if paused else ''}: {counts}; ${run['spent_usd']:.4f}{budget} spent"
    return [said, f"    {'tasks submitted one by one' if run['out'] == API_RUN else run['out']}"]


def _waiting_line(one: Mapping[str, Any], now: float) -> str:
    said = f"waiting {WAITS.get(one['reason'], one['reason'])}: {one['tasks']:,}"
    return said if one["next_at"] is None else f"{said}, the next {ahead(one['next_at'], now)}"
