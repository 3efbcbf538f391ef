"""Random worlds in which much goes wrong at once, each from a seed: several accounts at providers of their own, models
that share them, fallbacks, lanes, urgencies, wrong estimates, faults, outages, and people who steer.

To look at one: ``python -m tests.dispatch.troubles 17``.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from laneway.providers.model import Account, Limits, Model
from laneway.simulator.options import Options
from laneway.store.steering import Change, PauseKind
from laneway.task import NewTask, Spec, Urgency, Wire
from tests.dispatch.mixes import OUR_NAMES, WIRE, between
from tests.dispatch.practice import Practice, account, practise, prompt

A_DAY = 8640.0  # requests: never the bound here, but a bucket that remembers what was taken of it
ABSURD_EXPECTATION = 1000  # output tokens, where the request allows any number


@dataclass(frozen=True)
class Trouble:
    seed: int
    options: dict[str, Options]  # by account
    accounts: list[Account]
    models: list[Model]
    lanes: dict[str, int | None]
    weights: dict[str, float]
    tasks: list[NewTask] = field(repr=False)
    arrivals: list[tuple[float, NewTask]] = field(repr=False)
    outages: list[tuple[float, float]]
    max_in_flight: int
    steered: bool

    @property
    def all_tasks(self) -> dict[str, NewTask]:
        return {task.key or "": task for task in [*self.tasks, *(task for _, task in self.arrivals)]}

    def play(self, **more: Any) -> Practice:
        settings: dict[str, Any] = {
            "options": self.options,
            "accounts": self.accounts,
            "models": self.models,
            "lanes": self.lanes,
            "weights": self.weights,
            "arrivals": self.arrivals,
            "outages": self.outages,
            "max_in_flight": self.max_in_flight,
            "meanwhile": self.steer if self.steered else None,
            "seed": self.seed,
        }
        return practise(self.tasks, **{**settings, **more})

    async def steer(self, world: Practice) -> None:
        """Somebody cancels, retries, moves, pauses and resumes, all the time; what was paused goes on in the end."""
        rng = random.Random(self.seed)
        for _ in range(10):
            await asyncio.sleep(between(rng, 0.05, 10.0))
            now, ids = world.clock.now(), rng.sample(range(1, len(world.submitted) + 1), k=min(3, len(world.submitted)))
            match rng.choice(("cancel", "retry", "adjust", "pause", "pause")):
                case "cancel":
                    await world.store.cancel(ids, now)
                case "retry":
                    await world.store.retry(ids, now)
                case "adjust":
                    lane, model = rng.choice([None, *self.lanes]), rng.choice([None, *(m.name for m in self.models)])
                    await world.store.adjust(ids, Change(rng.choice([None, *Urgency]), lane, model), now)
                case "pause":
                    await self._pause(world, rng)

    async def _pause(self, world: Practice, rng: random.Random) -> None:
        kind = rng.choice(list(PauseKind))
        names = {
            PauseKind.LANE: list(self.lanes),
            PauseKind.ACCOUNT: [account.name for account in self.accounts],
            PauseKind.RUN: [str(world.run.id)],
        }
        name = rng.choice(names[kind])
        await world.store.pause(kind, name, world.clock.now())
        await asyncio.sleep(between(rng, 0.05, 20.0))
        await world.store.resume(kind, name, world.clock.now())


def trouble(seed: int) -> Trouble:
    rng = random.Random(seed)
    count = rng.randint(10, 80)
    house = rng.choice(list(WIRE))
    options = {f"account{i}": _options(rng, count) for i in range(rng.randint(1, 3))}
    accounts = [
        account(name, limits=_told(one, rng), provider=house, weight=rng.choice((1, 1, 3)))
        for name, one in options.items()
    ]
    models = [_model(f"model{i}", accounts, rng) for i in range(rng.randint(1, 3))]
    lanes = {f"lane{i}": rng.choice((None, None, rng.randint(1, 5))) for i in range(rng.randint(1, 3))}
    tasks = _tasks(rng, count, models, list(lanes), WIRE[house])
    now = rng.randint(1, count) if rng.random() < 0.3 else count
    return Trouble(
        seed,
        options,
        accounts,
        models,
        lanes,
        weights={lane: rng.choice((1, 1, 2, 5)) for lane in lanes},
        tasks=tasks[:now],
        arrivals=[(rng.uniform(0, 30), task) for task in tasks[now:]],
        outages=[(start := rng.uniform(0, 30), start + between(rng, 0.1, 60.0))] if rng.random() < 0.3 else [],
        max_in_flight=rng.choice((2000, 2000, 10)),
        steered=rng.random() < 0.3,
    )


def _options(rng: random.Random, count: int) -> Options:
    options = Options(
        latency=between(rng, 0.05, 3.0),
        spread=rng.choice((0.0, 0.5, 1.0)),
        burst=between(rng, 0.3, 60.0),
        output_tokens=rng.randint(20, 200),
        output_spread=rng.choice((0.0, 0.7)),
        no_headers=rng.random() < 0.4,
        seed=rng.randrange(2**20),
    )
    each = {"rpm": 1, "tpm": 350, "input_tpm": 250, "output_tpm": 100}
    for kind in rng.sample(list(OUR_NAMES), rng.choice((0, 1, 1, 2, 3))):
        if kind == "concurrency":
            options.concurrency = rng.randint(1, 30)
        else:
            setattr(options, kind, float(round(max(10.0, each[kind] * count / rng.uniform(2, 40) * 60))))
    if rng.random() < 0.6:
        options.error_rate, options.cut_rate = rng.choice((0.0, 0.02, 0.2)), rng.choice((0.0, 0.02, 0.2))
        options.rate_limit_rate = rng.choice((0.0, 0.0, 0.05, 0.2))
        options.hang_nth = rng.choice((None, rng.randint(1, count)))
    return options


def _told(options: Options, rng: random.Random) -> Limits:
    """Of each limit that there is, our side is told or not."""
    there = [kind for kind in OUR_NAMES if getattr(options, kind) is not None]
    told = {OUR_NAMES[kind]: getattr(options, kind) for kind in there if rng.random() < 0.5}
    return Limits(requests_per_day=A_DAY, **told)


def _model(name: str, accounts: Sequence[Account], rng: random.Random) -> Model:
    on = tuple(rng.sample(accounts, rng.randint(1, len(accounts))))
    return Model(name, name, on, 1.0, 2.0, timeout=rng.choice((5.0, 30.0, 120.0)))


def _tasks(rng: random.Random, count: int, models: list[Model], lanes: list[str], wire: Wire) -> list[NewTask]:
    spec = Spec("chat", wire, max_attempts=rng.randint(1, 6), retry_delays=rng.choice(((), (), (1.0, 3.0))))
    tasks = []
    for i in range(count):
        model = rng.choice(models).name
        size = min(3000, max(20, round(rng.lognormvariate(math.log(200), 0.7))))
        most = rng.choice((rng.randint(20, 300), None if wire is Wire.CHAT else 200))
        task = prompt(
            str(i),
            rng.choice(list(Urgency)),
            rng.choice(lanes),
            model,
            input_tokens=size,
            max_tokens=most,
            expected=(max(1, round(size * rng.choice((0.3, 1, 1, 3)))), most or ABSURD_EXPECTATION),
            due=rng.choice((-1000, 0, 60, 3600)),
            fallbacks=tuple(other.name for other in models if other.name != model and rng.random() < 0.3),
            spec=spec,
        )
        tasks.append(replace(task, deadline=task.due_at) if rng.random() < 0.1 else task)
    return tasks


def main() -> None:
    one = trouble(int(sys.argv[1]))
    print(one)
    world = one.play()
    print(f"{world.seconds:.2f} s, {len(world.calls)} calls, {world.stop}")
    for call in world.calls:
        print(call)


if __name__ == "__main__":
    main()
