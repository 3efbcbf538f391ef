"""The least time in which work can pass through limits: accounts, lanes, slots. Pure; one scenario at a time.

Work that may use several accounts is a flow: for every set of works, what they need together must fit through the
accounts that any of them may use (Hall's condition). With averages for all tasks of a load, this is exact up to the
unevenness of single tasks.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from laneway.dispatch.finding.finder import FIRST_CALLS, MAXIMUM
from laneway.dispatch.limits import DAY, KNOWN
from laneway.providers.model import LimitKind, Limits
from laneway.task import Urgency

MOST_SETS = 6  # different sets of accounts that are looked at in all combinations
FOREVER_S = 1e12
BUSY = "concurrency"


@dataclass(frozen=True, slots=True)
class Slots:
    """Calls at once: ``start``, doubling every ``doubling_s`` up to ``most`` (0: it stays)."""

    start: float
    most: float
    doubling_s: float = 0.0

    def work(self, seconds: float) -> float:
        """Call seconds that fit into so many seconds."""
        if not self.doubling_s or self.most <= self.start:
            return self.start * seconds
        done, slots, left = 0.0, self.start, seconds
        while slots < self.most and left > self.doubling_s:
            done += slots * self.doubling_s
            slots, left = min(2 * slots, self.most), left - self.doubling_s
        return done + slots * left


@dataclass(frozen=True, slots=True)
class Rate:
    name: str  # as in the config
    kind: LimitKind
    per_s: float
    burst_s: float  # seconds of it that may go at once at the start


@dataclass(frozen=True, slots=True)
class Pool:
    """An account's limits. ``slots`` None: unbounded."""

    name: str
    rates: tuple[Rate, ...] = ()
    slots: Slots | None = None
    charges_max: bool = False


@dataclass(frozen=True, slots=True)
class Load:
    """Calls that go the same way, and what they take together. ``busy``: seconds of calls, one after the other;
    ``charged_tokens``: output where accounts charge what was allowed."""

    lane: str
    urgency: Urgency
    accounts: tuple[str, ...]
    calls: float
    input_tokens: float
    output_tokens: float
    charged_tokens: float
    busy: float

    def of(self, kind: LimitKind, charges_max: bool) -> float:
        match kind:
            case "requests":
                return self.calls
            case "input_tokens":
                return self.input_tokens
            case "output_tokens":
                return self.output_tokens
            case "tokens":
                return self.input_tokens + (self.charged_tokens if charges_max else self.output_tokens)


@dataclass(frozen=True, slots=True)
class Needed:
    """Seconds, and the limit that asks for them ("" where none does)."""

    seconds: float = 0.0
    by: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """All limits: accounts by name, slots by lane (those that have any), in all, and calls a second of this
    process."""

    pools: Mapping[str, Pool]
    lanes: Mapping[str, int]
    slots: int
    calls_per_s: float


def rates_of(limits: Limits, burst_s: float, left_today: float | None = None) -> tuple[Rate, ...]:
    """A day's limit is there at once, all of it or ``left_today``; the others let ``burst_s`` go at once, never more
    than their window."""
    found = []
    for known in KNOWN:
        amount = getattr(limits, known.name)
        if amount is None:
            continue
        per_s = amount / known.window
        at_once = min(burst_s, known.window)
        if known.window == DAY:
            at_once = DAY if left_today is None else min(DAY, left_today / per_s)
        found.append(Rate(known.name, known.kind, per_s, at_once))
    return tuple(found)


def has_limits(limits: Limits) -> bool:
    """Whether anything is known of what an account permits."""
    return limits.concurrency is not None or any(getattr(limits, known.name) is not None for known in KNOWN)


def unknown_slots(doubling_s: float, most: float = MAXIMUM, start: float = FIRST_CALLS) -> Slots:
    """A concurrency that is found on the way: it doubles about once in a call's time."""
    return Slots(min(start, most), most, doubling_s)


def needed(loads: Sequence[Load], place: Place, *, calls_take_time: bool = True) -> Needed:
    """The time that the narrowest limit asks for. ``calls_take_time`` False: starts only, as if every call ended at
    once."""
    found = [Needed()]
    for together in _sets(loads):
        found.append(_through([load for load in loads if load.accounts in together], place, calls_take_time))
    if calls_take_time:
        for lane, slots in place.lanes.items():
            found.append(Needed(sum(load.busy for load in loads if load.lane == lane) / slots, f"lane {lane}"))
        found.append(Needed(sum(load.busy for load in loads) / place.slots, BUSY))
    found.append(Needed(sum(load.calls for load in loads) / place.calls_per_s, "this machine"))
    return max(found, key=lambda one: one.seconds)


def in_turn(loads: Sequence[Load], place: Place) -> Needed:
    """The time at worst, when the urgent go first and what they leave unused is lost: the classes one after the other,
    wherever they share a limit."""
    worst = Needed()
    for group in _sharing(loads, place):
        steps = [
            needed([load for load in group if load.urgency == urgency], place)
            for urgency in sorted({load.urgency for load in group})
        ]
        longest = max(steps, key=lambda step: step.seconds)
        whole = Needed(sum(step.seconds for step in steps), longest.by)
        worst = max(worst, whole, key=lambda one: one.seconds)
    return max(worst, needed(loads, place), key=lambda one: one.seconds)


def _sets(loads: Iterable[Load]) -> list[set[tuple[str, ...]]]:
    ways = sorted({load.accounts for load in loads})
    if len(ways) > MOST_SETS:
        return [{way} for way in ways] + [set(ways)]
    return [set(some) for n in range(1, len(ways) + 1) for some in itertools.combinations(ways, n)]


def _through(loads: Sequence[Load], place: Place, calls_take_time: bool) -> Needed:
    """All of these loads through all of their accounts together."""
    names = sorted({name for load in loads for name in load.accounts})
    pools = [place.pools[name] for name in names]

    def shares(seconds: float) -> list[tuple[float, str]]:
        return [_share(pool, loads, seconds, calls_take_time) for pool in pools]

    def enough(seconds: float) -> bool:
        return sum(share for share, _ in shares(seconds)) >= 1.0

    if enough(0.0):
        return Needed()
    high = 1e-3
    while not enough(high):
        high *= 2
        if high > FOREVER_S:
            return Needed(FOREVER_S, shares(high)[0][1])
    low = 0.0 if high == 1e-3 else high / 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    widest = max(range(len(pools)), key=lambda at: shares(high)[at][0])
    return Needed(high, f"{pools[widest].name}: {shares(high)[widest][1]}")


def _share(pool: Pool, loads: Sequence[Load], seconds: float, calls_take_time: bool) -> tuple[float, str]:
    """How much of the loads an account alone can do in so many seconds (1: all), and what keeps it from more."""
    least, by = math.inf, ""
    for rate in pool.rates:
        amount = sum(load.of(rate.kind, pool.charges_max) for load in loads)
        if amount > 0 and (share := rate.per_s * (seconds + rate.burst_s) / amount) < least:
            least, by = share, rate.name
    busy = sum(load.busy for load in loads)
    if calls_take_time and pool.slots is not None and busy > 0 and (share := pool.slots.work(seconds) / busy) < least:
        least, by = share, BUSY
    return least, by


def _sharing(loads: Sequence[Load], place: Place) -> list[list[Load]]:
    """The loads in groups that have nothing in common: no account and no limited lane."""
    groups: list[tuple[set[str], list[Load]]] = []
    for load in loads:
        uses = {f"account {name}" for name in load.accounts}
        if load.lane in place.lanes:
            uses.add(f"lane {load.lane}")
        met = [group for group in groups if group[0] & uses]
        for group in met:
            groups.remove(group)
            uses |= group[0]
        groups.append((uses, [*(one for group in met for one in group[1]), load]))
    return [members for _, members in groups]
