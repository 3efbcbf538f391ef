"""A finder against the simulator's own limits, without anything in between: a minute takes milliseconds.

To try many: ``python -m tests.dispatch.finding.trial`` prints the worst of some hundred combinations.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laneway.dispatch.finding.finder import Finder
from laneway.simulator.limits import Charge, KeyLimits
from laneway.simulator.options import Options

WAY_S = 0.0015  # each way
WAKE_S = 0.001  # that a timer comes too late, at most


@dataclass
class Trial:
    """More work than can be done, for ``seconds``. ``changes``: of the simulator's options, after so many seconds."""

    seconds: float
    latency: float = 1.0
    spread: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[float, Mapping[str, Any]] = field(default_factory=dict)
    outage: tuple[float, float] = (0.0, 0.0)
    window: tuple[int, float] | None = None  # instead of buckets: so many in each so many seconds
    noise: float = 0.0  # share that is refused for no reason
    way: float = WAY_S
    lag: float = 0.0  # s that an answer waits before it is looked at, on average: the process is busy
    seed: int = 1
    finder: Finder = field(default_factory=lambda: Finder(0.0))
    starts: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._now = 0.0
        self._limits = KeyLimits()
        self._real = Options(no_headers=True, **self.options)
        self._heap: list[tuple[float, int, str, tuple[int, float]]] = []
        self._order = itertools.count()
        self._wake_at = 0.0
        self._windows: dict[float, int] = {}

    def run(self) -> Trial:
        for at in self.changes:
            self._at(at, "change")
        self._start()
        while self._heap and self._heap[0][0] <= self.seconds:
            self._now, _, what, call = heapq.heappop(self._heap)
            getattr(self, f"_{what}")(*call)
            if what in ("wake", "reply", "refuse", "fail"):
                self._start()
        return self

    def rate(self, since: float, until: float | None = None) -> float:
        """Answers a second in between."""
        until = self.seconds if until is None else until
        return sum(since <= at < until for at in self.done) / (until - since)

    def seconds_for(self, calls: int) -> float:
        """Until so many were answered."""
        return self.done[calls - 1]

    @property
    def share(self) -> float:
        """Of all calls, refused."""
        return len(self.refused) / len(self.starts)

    def bound(self, **options: Any) -> float:
        """Calls a second that these limits permit."""
        mean = self.latency * math.exp(self.spread**2 / 2)
        real = {**self.options, **options}
        return float(min(real.get("rpm", math.inf) / 60, real.get("concurrency", math.inf) / mean))

    def _at(self, at: float, what: str, number: int = 0, sent: float = 0.0) -> None:
        heapq.heappush(self._heap, (at, next(self._order), what, (number, sent)))

    def _start(self) -> None:
        while True:
            at, _ = self.finder.free_at(self._now)
            if at is None:
                return
            if at > self._now + 1e-9:
                if not self._now < self._wake_at <= at + WAKE_S:
                    self._wake_at = at + self._rng.random() * WAKE_S
                    self._at(self._wake_at, "wake")
                return
            self.starts.append(self._now)
            number = len(self.starts)
            self.finder.started(number, self._now)
            self._at(self._now + self.way, "arrive", number, self._now)

    def _arrive(self, number: int, sent: float) -> None:
        if self.outage[0] <= self._now < self.outage[1]:
            self._at(self._now + self.way, "fail", number, sent)
        elif self._refuses():
            self._at(self._now + self.way, "refuse", number, sent)
        else:
            slow = math.exp(self.spread * self._rng.gauss(0, 1)) if self.spread else 1.0
            self._at(self._now + self.latency * slow, "end", number, sent)

    def _refuses(self) -> bool:
        if self._rng.random() < self.noise:
            return True
        if self.window is None:
            return self._limits.arrive(self._real, Charge(), self._now) is not None
        most, length = self.window
        window = self._now // length
        self._windows[window] = self._windows.get(window, 0) + 1
        if self._windows[window] > most:
            return True
        self._limits.in_flight += 1
        return False

    def _end(self, number: int, sent: float) -> None:
        self._limits.in_flight -= 1
        lag = self._rng.expovariate(1.0 / self.lag) if self.lag else 0.0
        self._at(self._now + self.way + lag, "reply", number, sent)

    def _reply(self, number: int, sent: float) -> None:
        self.done.append(self._now)
        self.finder.replied(number, self._now - sent, self._now)

    def _refuse(self, number: int, sent: float) -> None:
        self.refused.append(self._now)
        self.finder.refused(number, self._now - sent, self._now)

    def _fail(self, number: int, sent: float) -> None:
        self.finder.withdrawn(number)

    def _wake(self, number: int, sent: float) -> None:
        pass

    def _change(self, number: int, sent: float) -> None:
        self._real.change(self.changes[self._now])


def main() -> None:
    trials = []
    for latency, spread in itertools.product((0.1, 0.5, 1.0, 3.0), (0.0, 0.3, 0.6)):
        hidden: list[dict[str, float]] = [{"concurrency": n} for n in (5, 25, 50, 200) if n / latency < 700]
        hidden += [{"rpm": n, "burst": b} for n in (300, 600, 1200, 6000) for b in (0.3, 1, 10, 60)]
        hidden += [
            {"rpm": 60 * n / latency * part, "burst": 1, "concurrency": n} for n in (10, 50) for part in (0.9, 2)
        ]
        for options in hidden:
            trial = Trial(60.0, latency, spread, options).run()
            trials.append((trial.rate(20) / trial.bound(), trial.share, len(trial.refused), latency, spread, options))
    for title, shown in (
        ("slowest", sorted(trials, key=lambda t: t[0])[:12]),
        ("refused", sorted(trials, key=lambda t: -t[1])[:25]),
    ):
        for ratio, share, refused, latency, spread, options in shown:
            print(f"{title}: {ratio:.3f}, refused {share:.2%} ({refused}); latency {latency}, {spread}; {options}")
    for calls, latency in ((100, 0.2), (1000, 0.2), (5000, 0.2), (100, 1.0), (1000, 1.0)):
        trial = Trial(30.0, latency, 0.3).run()
        print(f"no limits: {calls} calls of {latency} s take {trial.seconds_for(calls):.1f} s")
    slow, often = sum(one[0] < 0.9 for one in trials), sum(one[1] > 0.01 for one in trials)
    print(f"{len(trials)} trials, {slow} below 0.9, {often} with more than 1 % refused")


if __name__ == "__main__":
    main()
