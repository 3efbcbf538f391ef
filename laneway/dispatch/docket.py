"""Calls that may have failed because their provider is down: their settlement waits until more is known.

Such a task stays in this worker's hands, without a slot, for some seconds at most. A crash then costs it what a crash
costs any running task.
"""

from __future__ import annotations

from dataclasses import dataclass

from laneway.dispatch.breaker import Doubt
from laneway.dispatch.desk import Desk
from laneway.providers.model import Reply
from laneway.task import Claimed


@dataclass(frozen=True, slots=True)
class Case:
    task: Claimed
    desk: Desk
    reply: Reply
    doubt: Doubt
    ended_at: float


class Docket:
    def __init__(self) -> None:
        self._cases: list[Case] = []

    def __len__(self) -> int:
        return len(self._cases)

    def add(self, case: Case) -> None:
        self._cases.append(case)

    def judged(self, now: float, *, idle: bool = False) -> list[Case]:
        """Those of which more is known by now. ``idle``: nothing is under way that could tell more."""
        for desk in {id(case.desk): case.desk for case in self._cases}.values():
            desk.judge(now, idle=idle)
        done = [case for case in self._cases if case.doubt.innocent is not None]
        self._cases = [case for case in self._cases if case.doubt.innocent is None]
        return done

    def close(self) -> list[Case]:
        """All that are left: nothing more will be known, so the provider has the blame."""
        done, self._cases = self._cases, []
        for case in done:
            case.doubt.innocent = True
        return done

    def next_at(self, now: float) -> float | None:
        """When time alone will decide one."""
        times = (case.doubt.until if case.doubt.until > now else case.doubt.latest for case in self._cases)
        return min(times, default=None)
