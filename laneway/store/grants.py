"""One set of limits for all workers: which part of an account or a lane is whose. Pure: a store brings the numbers.

What may still be used by somebody is given to nobody else: a part stays reserved until its holder says that it goes by
a smaller one, or until its grant has ended. So parts never add up to more than the whole, whoever comes and goes. The
reasons: design/fleet.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, modf
from typing import NamedTuple
from zlib import crc32

FLOOR = 0.05  # of what is left, kept for all less urgent work (as in the order of starts, design/urgency.md)
IN_USE = 0.5  # of what nobody asked for, that goes to who asks for most; the rest to all alike, so that work can begin
TURN_S = 60.0  # for which a worker has a part, where there are more workers than parts
GOLDEN = 0.6180339887498949  # multiples of it, less the whole, are spread as evenly as can be
ROUNDING = 1e-9
ENOUGH = 0.01  # of a share: nobody hurries for less

ByUrgency = tuple[float, float, float, float]  # immediate, urgent, standard, relaxed
NOTHING: ByUrgency = (0.0, 0.0, 0.0, 0.0)


class Capacity(NamedTuple):
    """What there is to share of one resource."""

    slots: int | None = None  # calls at once; None: unbounded
    calls: float | None = None  # that all workers together may make until they ask again; None: unknown
    parts: int = 10_000  # into which its rates may be divided at most: no part is too small to hold one call


class Demand(NamedTuple):
    """What one worker asks for, and what it has."""

    calls: ByUrgency = NOTHING  # that it could make until it asks again, if it had all
    share: float = 0.0  # that it goes by until it has this answer: 0 when its grant has ended
    slots: int = 0  # the same; where more calls are in flight, their number
    made: int = 0  # calls since the last answer


class Others(NamedTuple):
    """Sums over all other workers' valid grants of a resource."""

    workers: int = 0
    calls: ByUrgency = NOTHING
    share: float = 0.0  # reserved
    slots: int = 0
    lacks_share: float = 0.0  # what they are still due
    lacks_slots: int = 0


class Part(NamedTuple):
    """What a worker gets, what is reserved for it (more while it shrinks), and what it is due beyond that."""

    share: float
    slots: int | None
    reserved_share: float
    reserved_slots: int
    lacks_share: float
    lacks_slots: int

    @property
    def lacks(self) -> bool:
        return self.lacks_share > ENOUGH or self.lacks_slots > 0


class Grant(NamedTuple):
    """A worker's part of an account's or lane's limits until ``valid_until``."""

    share: float  # of every rate, 0 to 1
    slots: int | None  # of the concurrency; None: unbounded
    valid_until: float
    lacks: bool = False  # more is due, and comes when others have let go of it: ask again soon
    made: int = 0  # calls of all workers so far, as they told


def divide(capacity: Capacity, demand: Demand, others: Others, worker: str, now: float) -> Part:
    """This worker's part. To be written, as reserved, in the transaction in which ``others`` was read."""
    due, wanted = _due(capacity, demand.calls, others)
    due_share, due_slots, least = _in_whole_calls(capacity, due, worker, now)
    free_share = max(0.0, 1.0 - others.share)
    share = _with_spare(due_share, wanted, free_share, others.lacks_share)
    slots = free_slots = 0
    if capacity.slots is not None:
        free_slots = max(0, capacity.slots - others.slots)
        most = -floor(-wanted * capacity.slots)
        slots = int(_with_spare(due_slots, most, free_slots, others.lacks_slots))
    if share < least - ROUNDING or (capacity.slots is not None and slots == 0):
        share, slots = 0.0, 0  # the one is of no use without the other
    return Part(
        share,
        None if capacity.slots is None else slots,
        reserved_share=max(share, demand.share),
        reserved_slots=max(slots, demand.slots),
        lacks_share=max(0.0, due_share - share),
        lacks_slots=max(0, due_slots - slots),
    )


def _due(capacity: Capacity, mine: ByUrgency, others: Others) -> tuple[float, float]:
    """Which part of the whole is due to a worker, and which it could use at most. Classes are served in their order,
    less the floor for those below; in a class by demand. What is left goes half to who asks, half to all alike."""
    every = [a + b for a, b in zip(mine, others.calls, strict=True)]
    whole = rest = _whole(capacity, every)
    due = 0.0
    for urgency, (one, both) in enumerate(zip(mine, every, strict=True)):
        if both > 0:
            taken = min(both, rest * (1.0 - FLOOR * any(every[urgency + 1 :])))
            due += taken * one / both
            rest -= taken
    alike = 1.0 / (others.workers + 1)
    due += rest * (IN_USE * sum(mine) / sum(every) + (1.0 - IN_USE) * alike if any(every) else alike)
    return min(1.0, due / whole), min(1.0, sum(mine) / whole)


def _whole(capacity: Capacity, every: Sequence[float]) -> float:
    """In calls. Where nobody knows, as many as the most urgent ask for."""
    if capacity.calls is not None:
        return max(capacity.calls, ROUNDING)
    if capacity.slots is not None:
        return max(1.0, capacity.slots)
    first = next((calls for calls in every if calls > 0), 1.0)
    return first if first >= sum(every) else first / (1.0 - FLOOR)


def _in_whole_calls(capacity: Capacity, due: float, worker: str, now: float) -> tuple[float, int, float]:
    """The share and the slots that are due in this turn, and the least share that is of use. Fractions of a slot, and
    shares too small for a call, are had whole, and for a part of the turns."""
    turn = turn_of(worker, now)
    least = max(1.0 / max(1, capacity.parts), 1.0 / capacity.slots if capacity.slots else 0.0)
    if due < least - ROUNDING:
        due, turn = (least, 0.0) if turn * least < due else (0.0, 0.0)
    slots = floor(due * (capacity.slots or 0) + turn + ROUNDING)
    return due, min(slots, capacity.slots or 0), least


def turn_of(worker: str, now: float) -> float:
    """A number from 0 to 1 that changes every ``TURN_S``, for each worker at its own time: over the turns of a worker
    as evenly spread as can be, and at any time over all workers as by chance."""
    number = crc32(worker.encode())
    turns = floor(now / TURN_S + (number & 0xFFFF) / 0x10000)
    return modf((number >> 16) / 0x10000 + turns * GOLDEN)[0]


def _with_spare(due: float, wanted: float, free: float, lacks: float) -> float:
    """What is due, as far as it is free; and of what is then left, and due to nobody else, what can be used."""
    got = min(due, free)
    return got + max(0.0, min(free - got - lacks, wanted - got))
