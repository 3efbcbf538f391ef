"""What keeps work from going on, in words, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from laneway.app.views.accounts import Account
from laneway.app.views.lanes import Lane
from laneway.app.views.overview import Overview
from laneway.server.dashboard.limits import limit_said
from laneway.server.dashboard.words import ahead, capitalize_first, number, plural, quoted, span

FULL = 0.95  # share of a limit from which it holds work up
LONGEST = 160  # characters of a provider's words


@dataclass(frozen=True, slots=True)
class Hold:
    """``where``: the page on which something can be done about it; "" for none."""

    said: str
    where: str = ""


def holds(seen: Overview, lanes: Sequence[Lane], accounts: Sequence[Account]) -> Iterator[Hold]:
    ready, now = seen.counts["ready"], seen.at
    if not seen.workers and seen.waiting:
        yield Hold(f"No worker is running; {_tasks(seen.waiting)}.", "/workers")
    for account in accounts:
        if why := _stopped(account, now):
            yield Hold(why, f"/accounts/{quoted(account.name)}")
    for budget in seen.budgets:
        if budget["used_up"]:
            waiting = f"; {_tasks(budget['waiting'])}" if budget["waiting"] else ""
            name = _budget(budget["kind"], budget["name"])
            again = ahead(budget["begins_anew_at"], now)
            yield Hold(f"{name} has used up its budget of today, which begins anew {again}{waiting}.")
    for lane in lanes:
        there = f"/lanes/{quoted(lane.name)}"
        if lane.paused_since is not None and lane.depth:
            yield Hold(f"Lane {lane.name} is paused; {_tasks(lane.depth)}.", there)
        elif lane.concurrency and lane.depth and lane.counts["running"] >= lane.concurrency:
            soon = f"; at this pace it is empty in {span(lane.eta_s)}" if lane.eta_s else ""
            yield Hold(f"Lane {lane.name} is at its limit of {number(lane.concurrency)} at once{soon}.", there)
    for account in accounts if ready else ():
        full = next((limit for limit in account.limits if (limit.use or 0.0) >= FULL), None)
        if full is not None and account.answers and account.paused_since is None:
            yield Hold(
                f"Account {account.name} is at its limit of {limit_said(full)}.", f"/accounts/{quoted(account.name)}"
            )


def _stopped(account: Account, now: float) -> str:
    if account.failure:
        return f"Account {account.name} was stopped by a failure: {account.failure[:LONGEST]}"
    if not account.answers:
        again = f"; it is tried again {ahead(account.next_probe, now)}" if account.next_probe else ""
        return f"Account {account.name} does not answer{again}."
    return f"Account {account.name} is paused." if account.paused_since is not None else ""


def _budget(kind: str, name: str) -> str:
    return capitalize_first(f"{kind} {name}") if name else "The project"


def _tasks(n: int) -> str:
    return plural(n, "task waits", "tasks wait")
