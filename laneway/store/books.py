"""The books of the days: what one transaction adds to them, and what their budgets still allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from laneway.store.budgets import DAY_S, PROJECT, Budget, BudgetKind, Limits, Spending, day_of, end_of_day
from laneway.store.cells import Pick

HELD_AT_ONCE = 1000
NEARBY = 100  # tasks of a type that calls in flight may free money for: so many stay where they stand
SOON_S = 10.0  # how long those behind them step aside, where they are in others' way
NOTHING = Spending()
ROUNDING = 1e-6  # USD: sums of floats, in another order


class Place(NamedTuple):
    """What a call counts for."""

    account: str
    lane: str
    type: str

    @property
    def budgets(self) -> tuple[Budget, Budget, Budget]:
        return (
            Budget(BudgetKind.ACCOUNT, self.account),
            Budget(BudgetKind.LANE, self.lane),
            Budget(BudgetKind.TYPE, self.type),
        )


class Sums:
    """What one transaction adds, written once a commit: ``new``, [spent, reserved] by day, account, cell and spec."""

    def __init__(self) -> None:
        self.new: dict[tuple[int, str, int, int], list[float]] = {}

    def add(
        self,
        started_at: float,
        account: str,
        cell_id: int | None,
        spec_id: int,
        *,
        reserved: float = 0.0,
        spent: float = 0.0,
    ) -> None:
        """USD of one call. Without a cell its claim was booked nowhere."""
        if cell_id is None or not (reserved or spent):
            return
        key = (day_of(started_at), account, cell_id, spec_id)
        sums = self.new.get(key)
        if sums is None:
            sums = self.new[key] = [0.0, 0.0]
        sums[0] += spent
        sums[1] += reserved


class Left:
    """What the budgets of a day still allow, while calls are being claimed."""

    def __init__(self, limits: Limits, used: Mapping[Budget, Spending], now: float) -> None:
        """``used``: of the day of ``now``; matters only where there are ``limits``."""
        self.limited = bool(limits)
        self.until = end_of_day(now)
        self.soon = now + SOON_S
        # A task that began before today may have waited for a budget since, which is not its own time.
        self.counted_from = float(day_of(now) * DAY_S) if limits else 0.0
        # Tasks of types that are over are passed by, many at once: they would have their turn again and again.
        self.looked_at = HELD_AT_ONCE if any(budget.kind is BudgetKind.TYPE for budget in limits) else 0
        self._limits = limits
        self._used = dict(used)

    def closed(self, place: Place) -> bool:
        """Whether no task may start there, of whichever type."""
        account, lane, _ = place.budgets
        return any(map(self._full, (PROJECT, account, lane)))

    def allows(self, place: Place, *, priced: bool) -> bool:
        """``priced``: what the call costs is known; else no budget of its type could be kept."""
        return not self.closed(place) and self.allows_type(place.type, priced=priced)

    def allows_type(self, type_: str, *, priced: bool) -> bool:
        budget = Budget(BudgetKind.TYPE, type_)
        return budget not in self._limits or (priced and not self._full(budget))

    def may_free(self, type_: str) -> bool:
        """Whether calls in flight hold what the type has left: they may turn out cheaper than they reserved."""
        budget = Budget(BudgetKind.TYPE, type_)
        return self._full(budget) and not self._of(budget).over(self._limits[budget])

    def take(self, place: Place, cost: float) -> None:
        for budget in (PROJECT, *place.budgets):
            one = self._of(budget)
            self._used[budget] = Spending(one.spent, one.reserved + cost)

    def _of(self, budget: Budget) -> Spending:
        return self._used.get(budget, NOTHING)

    def _full(self, budget: Budget) -> bool:
        limit = self._limits.get(budget)
        return limit is not None and self._of(budget).full(limit)


def price(pick: Pick, input_tokens: int, output_tokens: int) -> float | None:
    """USD that a call reserves; None where its prices are not known."""
    if pick.input_price is None or pick.output_price is None:
        return None
    return (input_tokens * pick.input_price + output_tokens * pick.output_price) / 1e6


class Choice(NamedTuple):
    """Which of a cell's next tasks may start (``ids``), and which step aside for a time."""

    ids: list[int]
    held: list[int]  # until the day ends
    passed: list[int]  # for a moment


def choose(
    left: Left, rows: Iterable[tuple[int, Place, float | None]], n: int, free: float | None, *, priced: bool
) -> Choice:
    """Of (id, place, price) in their order, at most ``n`` for at most ``free`` USD. ``rows`` has up to ``n`` +
    ``left.looked_at``. ``priced``: tasks without a price cost nothing, else they are unknown."""
    ids: list[int] = []
    held: list[int] = []
    passed: list[int] = []
    looked = 0
    for id_, place, cost in rows:
        known = priced or cost is not None
        if len(ids) == n or left.closed(place) or (free is not None and (not known or free < (cost or 0.0))):
            break
        looked += 1
        if not left.allows(place, priced=known):
            (passed if known and left.may_free(place.type) else held).append(id_)
            continue
        ids.append(id_)
        left.take(place, cost or 0.0)
        free = None if free is None else free - (cost or 0.0)
    # Who stands behind many that are passed by was not even seen.
    return Choice(ids, held, passed[NEARBY:] if looked == n + left.looked_at else [])


def of_day(rows: Iterable[tuple[str, str, float, float]]) -> dict[Budget, Spending]:
    """Of (kind, name, spent, reserved). Every call has an account: together they make the project."""
    found = {Budget(BudgetKind(kind), name): Spending(spent, reserved) for kind, name, spent, reserved in rows}
    accounts = [one for budget, one in found.items() if budget.kind is BudgetKind.ACCOUNT]
    found[PROJECT] = Spending(sum(one.spent for one in accounts), sum(one.reserved for one in accounts))
    return found


Booked = Mapping[tuple[int, Budget], Sequence[float]]  # [spent, reserved] by day and budget


def differences(kept: Booked, real: Booked) -> Iterator[str]:
    """Where the books of the days are not what the ledger adds up to."""
    for place in sorted(real.keys() | kept.keys()):
        pairs = zip(("spent", "reserved"), kept.get(place, (0, 0)), real.get(place, (0, 0)), strict=True)
        for what, has, should in pairs:
            if abs(has - should) > ROUNDING * max(1.0, abs(should)):
                day, budget = place
                yield f"day {day}, {budget}: ${has:.6f} {what} counted, ${should:.6f} in the ledger"
