"""Whose turn it is among those who draw on the same thing: a pool of accounts, or a worker's slots.

- The most urgent class goes first. One start in twenty is left to the classes below, where they had none otherwise
  while the classes above them took nineteen: to the class that has gone without for the longest.
- In a class its own tasks go before those that rose into it; one start in four is left to these, counted the same way.
- Among equals the lanes take turns by weight: stride scheduling (Waldspurger and Weihl, 1995). Who was away or blocked
  gets no turns for it.
- In a lane the earliest due goes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Protocol, TypeVar

from laneway.task import Urgency

BELOW = 20  # one start in so many is for classes below those that could take all of them
RISEN = 4  # one of a class's starts in so many is for tasks of the class below that are past their target


class Waiting(Protocol):
    """Who has work ready. ``level``: of its next task, twice its class, and one more where it rose into that class."""

    @property
    def level(self) -> int: ...

    @property
    def due_at(self) -> float: ...

    @property
    def lane(self) -> str: ...

    @property
    def share(self) -> tuple[str, str]:
        """What takes turns: a lane, for the models that draw on the same accounts."""
        ...

    @property
    def key(self) -> tuple[str, str, Urgency]: ...


W = TypeVar("W", bound=Waiting)


class Turns:
    """``choose`` says who is next; only ``started`` uses up a turn."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self._weights = weights
        self._starts = 0
        self._latest: defaultdict[int, int] = defaultdict(int)  # by level: how many starts there were at its last one
        self._below = [0] * len(Urgency)  # by class: starts of it and those above it, for each start below it
        self._risen = [0] * len(Urgency)  # by class: starts of its own, for each start of those that rose into it
        self._passes: dict[tuple[int, tuple[str, str]], tuple[float, int]] = {}  # by level and share: least goes next
        self._reached: defaultdict[int, float] = defaultdict(float)  # by level: the pass that was served last

    def choose(self, waiting: Collection[tuple[int, W]]) -> tuple[int, W]:
        """Of these, each with the level for which it is sent, the next; and the level for which it goes."""
        if len(waiting) == 1:
            return next(iter(waiting))
        top, turn = self._level({level for level, _ in waiting})
        equals = [who for level, who in waiting if level == turn]
        if len(equals) == 1:
            return top, equals[0]
        return top, min(equals, key=lambda who: (*self._pass(turn, who), who.due_at, who.key))

    def started(self, level: int, one: Waiting, waiting: Collection[tuple[int, Waiting]], n: int = 1) -> None:
        """One of those waiting started a task of this level, or ``n`` of them, one after the other."""
        self._count(level, {level for level, _ in waiting} if len(waiting) > 1 else {level}, n)
        self._starts += n
        self._latest[level] = self._starts
        step = 1.0 / self._weights.get(one.lane, 1.0)
        reached = self._reached[level] = self._pass(level, one)[0] + (n - 1) * step
        self._passes[level, one.share] = (reached + step, self._starts)

    def _count(self, level: int, levels: set[int], n: int) -> None:
        """What starts at this level mean for others that wait."""
        own, lowest = level // 2, max(levels) // 2
        for urgency in range(own):
            self._below[urgency] = max(0, self._below[urgency] - n * (BELOW - 1))
        for urgency in range(own, lowest):
            self._below[urgency] = min(BELOW - 1, self._below[urgency] + n)
        if level % 2:
            self._risen[own] = max(0, self._risen[own] - n * (RISEN - 1))
        elif 2 * own + 1 in levels:
            self._risen[own] = min(RISEN - 1, self._risen[own] + n)

    def _level(self, levels: set[int]) -> tuple[int, int]:
        """The highest level, and the one whose turn it is."""
        top = min(levels)
        urgency = top // 2
        if self._below[urgency] >= BELOW - 1:
            below = [level for level in levels if level // 2 > urgency]
            if below:
                return top, min(below, key=lambda level: (self._latest[level], level))
        if self._risen[urgency] >= RISEN - 1 and 2 * urgency + 1 in levels:
            return top, 2 * urgency + 1
        return top, top

    def _pass(self, level: int, who: Waiting) -> tuple[float, int]:
        """Among several that were left behind, who started last comes last."""
        own, at = self._passes.get((level, who.share), (0.0, 0))
        return max(own, self._reached[level]), at
