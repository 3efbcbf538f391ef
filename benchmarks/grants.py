"""Parts of the limits for 1,000 workers, in simulated time: how soon they follow demand, and what asking costs."""

from __future__ import annotations

import argparse
import asyncio
import heapq
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from benchmarks.common import workplace
from benchmarks.postgres import NoPostgres, PostgresServer
from benchmarks.processes import tree_cpu_s
from laneway.app.settings import open_store
from laneway.dispatch.heart import INTERVAL_S, LEASE_S
from laneway.dispatch.worker import SOON_S
from laneway.store.grants import NOTHING, ROUNDING, ByUrgency, Capacity, Demand, Others, Part, divide
from laneway.store.interface import Store

NOW = 1_700_000_000.0
JITTER = 0.1  # of the time between two renewals
ENOUGH = 0.9  # of what is asked for: then shares have followed demand
STEP_S = 0.1  # between two looks at all of them
CALM_S = 60.0  # between two changes
BULK = 1e6  # calls: more than there is
ACCOUNTS = {
    "2,000 a second": Capacity(None, 2000 * INTERVAL_S, 1000),
    "20 a second": Capacity(None, 20 * INTERVAL_S, 10),
    "300 at once": Capacity(300, 300.0),
}


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, default=1000)


def run(repeat: int, workers: int) -> dict[str, Any]:
    return {
        "workers": workers,
        "accounts": {name: simulate(workers, capacity) for name, capacity in ACCOUNTS.items()},
        "cost": asyncio.run(_cost(workers, repeat)),
    }


@dataclass(slots=True)
class Worker:
    name: str
    calls: ByUrgency
    share: float = 0.0
    slots: int = 0
    valid_until: float = 0.0
    part: Part | None = None  # as the store has it, while it is valid
    dead: bool = False
    asked: ByUrgency = NOTHING


@dataclass
class Simulation:
    """A store's sums, kept as they change, and workers that ask as real ones do."""

    capacity: Capacity
    rng: random.Random
    now: float = NOW
    workers: list[Worker] = field(default_factory=list)
    renewals: int = 0
    most_share: float = 0.0
    most_slots: int = 0
    _due: list[tuple[float, int, Worker]] = field(default_factory=list)
    _count: int = 0
    _sums: list[float] = field(default_factory=lambda: [0.0] * 9)

    def join(self, calls: ByUrgency) -> Worker:
        one = Worker(f"worker-{len(self.workers)}", calls)
        self.workers.append(one)
        self._later(one, self.rng.uniform(0.0, INTERVAL_S))
        return one

    def change(self, one: Worker, calls: ByUrgency) -> None:
        """Who has work where there was none asks soon."""
        if not any(one.calls):
            self._later(one, self.rng.uniform(0.0, SOON_S))
        one.calls = calls

    def die(self, one: Worker) -> None:
        one.dead = True

    def go_on(self, seconds: float) -> list[float]:
        """The share in use by who has something to do, every ``STEP_S``."""
        used, until = [], self.now + seconds
        while self.now < until:
            self.now += STEP_S
            while self._due and self._due[0][0] <= self.now:
                at, _, one = heapq.heappop(self._due)
                self._renew(one, at)
            for one in self.workers:
                if one.part is not None and one.valid_until <= self.now:
                    self._forget(one)
            held = [one for one in self.workers if one.valid_until > self.now]
            self.most_share = max(self.most_share, sum(one.share for one in held))
            self.most_slots = max(self.most_slots, sum(one.slots for one in held))
            busy = [one for one in held if any(one.calls) and not one.dead]
            used.append(
                sum(one.slots for one in busy) / self.capacity.slots
                if self.capacity.slots
                else sum(one.share for one in busy)
            )
        return used

    def of(self, some: list[Worker]) -> float:
        return sum(one.share for one in some if one.valid_until > self.now)

    def _later(self, one: Worker, seconds: float) -> None:
        self._count += 1
        heapq.heappush(self._due, (self.now + seconds, self._count, one))

    def _renew(self, one: Worker, at: float) -> None:
        if one.dead:
            return
        self._ask(one, at)
        pause = SOON_S if one.part is not None and one.part.lacks else INTERVAL_S
        self._later(one, pause * self.rng.uniform(1 - JITTER, 1 + JITTER))

    def _ask(self, one: Worker, at: float) -> None:
        """And once more where its part has become smaller: it has let go by then."""
        self._forget(one)
        self.renewals += 1
        share, slots = (one.share, one.slots) if at < one.valid_until else (0.0, 0)
        part = divide(self.capacity, Demand(one.calls, share, slots), self._others(), one.name, at)
        one.share, one.slots, one.valid_until, one.part = part.share, part.slots or 0, at + LEASE_S, part
        one.asked = one.calls
        self._add(one, 1)
        if one.share < share or one.slots < slots:
            self._ask(one, at)

    def _others(self) -> Others:
        n, *rest = self._sums
        return Others(round(n), (rest[0], rest[1], rest[2], rest[3]), max(0.0, rest[4]), round(rest[5]), *self._lack())

    def _lack(self) -> tuple[float, int]:
        return max(0.0, self._sums[7]), round(self._sums[8])

    def _forget(self, one: Worker) -> None:
        if one.part is not None:
            self._add(one, -1)
            one.part = None

    def _add(self, one: Worker, sign: int) -> None:
        part = one.part
        assert part is not None
        lacks = (part.lacks_share, part.lacks_slots)
        amounts = (1, *one.asked, part.reserved_share, part.reserved_slots, *lacks)
        self._sums = [total + sign * amount for total, amount in zip(self._sums, amounts, strict=True)]


def simulate(n: int, capacity: Capacity, seed: int = 0) -> dict[str, Any]:
    """All are busy; half of them have nothing more to do; ten have urgent work; a tenth dies; a tenth comes."""
    fleet = Simulation(capacity, random.Random(seed))
    workers = [fleet.join((0.0, 0.0, BULK, 0.0)) for _ in range(n)]
    began = fleet.go_on(CALM_S)
    before = fleet.renewals
    calm = fleet.go_on(CALM_S)
    a_second = (fleet.renewals - before) / CALM_S
    for one in workers[: n // 2]:
        fleet.change(one, NOTHING)
    idle = fleet.go_on(CALM_S)
    urgent = workers[-10:]
    for one in urgent:
        fleet.change(one, (0.0, BULK, BULK, 0.0))
    urgent_s = _until(fleet, lambda: fleet.of(urgent) >= 0.9 * 0.95)
    fleet.go_on(CALM_S)
    for one in urgent:
        fleet.change(one, (0.0, 0.0, BULK, 0.0))
    fleet.go_on(CALM_S)
    for one in workers[n // 2 : n // 2 + n // 10]:
        fleet.die(one)
    dying = fleet.go_on(CALM_S)
    late = [fleet.join((0.0, 0.0, BULK, 0.0)) for _ in range(n // 10)]
    fair = len(late) / (n // 2 - n // 10 + len(late))
    late_s = _until(fleet, lambda: fleet.of(late) >= ENOUGH * fair)
    return {
        "start_s": _reached(began),
        "use": round(sum(calm) / len(calm), 4),
        "half_idle_s": _reached(idle),
        "urgent_s": urgent_s,
        "after_deaths_s": _reached(dying),
        "joined_s": late_s,
        "most_share": round(fleet.most_share, 9),
        "most_slots": fleet.most_slots,
        "renewals_per_s": round(a_second, 1),
    }


def _reached(used: list[float]) -> float | None:
    """Seconds after which the use is ``ENOUGH`` for the first time and was not before; 0 when it never was less."""
    low = [number for number, one in enumerate(used[: len(used) // 2]) if one < ENOUGH - ROUNDING]
    return round((low[-1] + 1) * STEP_S, 1) if low else 0.0


def _until(fleet: Simulation, reached: Any) -> float | None:
    began = fleet.now
    while fleet.now < began + 2 * CALM_S:
        fleet.go_on(STEP_S)
        if reached():
            return round(fleet.now - began, 1)
    return None


async def _cost(n: int, repeat: int) -> dict[str, Any]:
    """Of one renewal of five resources where so many workers share them: the transaction, the server's CPU time in it,
    and the rule alone."""
    said: dict[str, Any] = {}
    with workplace() as folder:
        store = open_store(f"sqlite:///{folder / 'laneway.db'}")
        said["sqlite_ms"], _ = await _renewal_ms(store, n, 50 * repeat, lambda: 0.0)
        await store.close()
    try:
        with PostgresServer() as server:
            store = open_store(server.url())
            told = await _renewal_ms(store, n, 50 * repeat, lambda: tree_cpu_s(server.pid))
            said["postgresql_ms"], said["postgresql_server_cpu_ms"] = told
            await store.close()
    except NoPostgres as error:
        said["postgresql"] = f"skipped: {error}"
    others = Others(n - 1, (0.0, 0.0, 40.0 * n, 0.0), 0.999, 0)
    began = time.perf_counter()
    for number in range(10_000):
        divide(ACCOUNTS["2,000 a second"], Demand((0.0, 0.0, 40.0, 0.0)), others, f"worker-{number}", NOW)
    return said | {"rule_us": round((time.perf_counter() - began) / 10_000 * 1e6, 2)}


async def _renewal_ms(store: Store, n: int, times: int, cpu_s: Callable[[], float]) -> tuple[float, float]:
    asks = {f"account:{number}": (ACCOUNTS["2,000 a second"], Demand((0.0, 0.0, 40.0, 0.0))) for number in range(5)}
    for number in range(n):
        await store.renew_grants(f"worker-{number}", asks, time.time(), LEASE_S + 600.0)
    began, cpu = time.perf_counter(), cpu_s()
    for number in range(times):
        await store.renew_grants(f"worker-{number % n}", asks, time.time(), LEASE_S + 600.0)
    took, used = time.perf_counter() - began, cpu_s() - cpu
    return round(took / times * 1e3, 3), round(used / times * 1e3, 3)
