"""What keeps a run's tasks from going on, in words."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from laneway.app.views.runs import RunLine
from laneway.app.views.workers import workers
from laneway.errors import LanewayError
from laneway.server.dashboard.page import Asked
from laneway.server.dashboard.words import ahead, money, plural
from laneway.store.cells import CellTally
from laneway.store.steering import PauseKind
from laneway.task import State, Usage, WaitReason, needs_account

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

WAITS = {
    WaitReason.RETRY: "for another try",
    WaitReason.CHILDREN: "for what they began",
    WaitReason.EVENT: "for an event from outside",
    WaitReason.BATCH: "for a provider's batch",
    WaitReason.SCHEDULED: "for the time set",
    WaitReason.BUDGET: "for the budget of their type",
    WaitReason.SHARED: "for an earlier task of the same key",
    WaitReason.TRIAGE: "for the classifier's verdict",
}


async def holdups(asked: Asked, run: RunLine, cells: Sequence[CellTally]) -> list[str]:
    """The most important first."""
    said = []
    if not run.sealed and run.counts[State.TRIAGING.value]:
        said.append("It is still coming in: nothing of it runs before all of it is there.")
    if run.budget_used is not None and run.budget_used >= 1:
        said.append(f"Its budget of {money(run.max_cost_usd)} is spent.")
    if run.max_cost_usd is not None:
        said += [
            f"It has a budget, and what {model} costs is not known: give its prices in laneway.toml."
            for model in _unpriced(asked.lw, cells)
        ]
    said += await _pauses(asked, run, cells)
    if any(cell.counts.get(State.READY) or cell.counts.get(State.RUNNING) for cell in cells):
        said += await _of_workers(asked)
    if any(cell.counts.get(State.WAITING) for cell in cells):
        said += await _waits(asked, run)
    return said


async def _pauses(asked: Asked, run: RunLine, cells: Sequence[CellTally]) -> list[str]:
    """Accounts are named only to those who see them. Their keys need not be known here: a server may make no calls."""
    left = [cell for cell in cells if any(n for state, n in cell.counts.items() if not state.ended)]
    accounts = asked.lw.catalog.accounts_of_models()
    used = {name for cell in left for name in accounts.get(cell.model, ())}
    held = {(one.kind, one.name) for one in await asked.lw.store.pauses() if one.since is not None}
    said = ["It is paused."] if run.paused_since is not None else []
    said += [
        f"Lane {name} is paused." for name in sorted({cell.lane for cell in left}) if (PauseKind.LANE, name) in held
    ]
    of_accounts = [name for name in sorted(used) if (PauseKind.ACCOUNT, name) in held]
    if of_accounts and not asked.caller.sees_all:
        return [*said, "An account is paused."]
    return [*said, *(f"Account {name} is paused." for name in of_accounts)]


async def _of_workers(asked: Asked) -> list[str]:
    living = [one for one in await workers(asked.lw) if one.alive]
    if not living:
        return ["No worker is there: start one by `laneway worker`."]
    binds = sorted({one.binds for one in living if one.binds and not one.binds.startswith("pause of")})
    if binds and not asked.caller.sees_all:
        return ["Work is held back by a limit that all teams share."]
    return [f"Work is held back by {limit}." for limit in binds]


async def _waits(asked: Asked, run: RunLine) -> list[str]:
    said = []
    for one in await asked.lw.store.waiting(run.id):
        first = "" if one.next_at is None else f", the first {ahead(one.next_at, asked.now)}"
        verb = "waits" if one.tasks == 1 else "wait"
        said.append(f"{plural(one.tasks, 'task')} {verb} {WAITS.get(one.reason, one.reason)}{first}.")
    return said


def _unpriced(lw: Laneway, cells: Sequence[CellTally]) -> list[str]:
    """Models that have something left to do, and no known price."""
    found = set()
    for cell in cells:
        if needs_account(cell.model) and any(n for state, n in cell.counts.items() if not state.ended):
            with contextlib.suppress(LanewayError):  # not configured any more
                found |= {cell.model} if lw.catalog.model(cell.model).cost(Usage(1, 1)) is None else set()
    return sorted(found)
