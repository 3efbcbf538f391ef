"""Random mixes of limits, sizes, latencies and faults, each from a seed, played in the practice world.

A table of what happened to many of them, the worst last::

    python -m tests.dispatch.mixes 0 100                 # seeds 0 to 99
    python -m tests.dispatch.mixes 0 100 told=config kinds=rpm,tpm burst=0.5 off=1.5

``ratio`` is the time against that of the ideal dispatcher (``benchmarks/ideal.py``) with the same limits, sizes and
latencies; where our side cannot know how much the provider's buckets hold, with buckets of half a second.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from benchmarks.ideal import Work, ideal
from laneway.dispatch.bucket import BURST_S
from laneway.providers.model import Account, Limits
from laneway.simulator.answers import length_of
from laneway.simulator.options import Options
from laneway.simulator.provider import wires
from laneway.task import NewTask, Wire
from tests.dispatch.practice import PATHS, Practice, account, practise, prompt

OUR_NAMES = {
    "rpm": "requests_per_minute",
    "tpm": "tokens_per_minute",
    "input_tpm": "input_tokens_per_minute",
    "output_tpm": "output_tokens_per_minute",
    "concurrency": "concurrency",
}
IN_HEADERS = {"openai": ("rpm", "tpm"), "anthropic": ("rpm", "tpm", "input_tpm", "output_tpm")}
FINDABLE = ("rpm", "concurrency")
WIRE = {"openai": Wire.CHAT, "anthropic": Wire.MESSAGES}


@dataclass(frozen=True)
class Mix:
    """Tasks for one account, and what its provider does. ``told``: how our side knows of the limits: config, headers,
    both, nothing. ``off``: the true number of input tokens is so many times what we are told."""

    seed: int
    house: str
    told: str
    kinds: tuple[str, ...]
    off: float
    options: Options
    tasks: tuple[NewTask, ...] = field(repr=False)

    @property
    def accounts(self) -> list[Account]:
        known = {OUR_NAMES[kind]: getattr(self.options, kind) for kind in self.kinds}
        if self.told == "nothing":
            known = {}
        elif self.told == "headers":
            known = {name: limit for name, limit in known.items() if name == "concurrency"}
        return [account(limits=Limits(**known), provider=self.house)]

    def play(self, **more: Any) -> Practice:
        return practise(self.tasks, options=replace(self.options), accounts=self.accounts, seed=self.seed, **more)

    def ideal_s(self) -> float:
        burst = BURST_S if self.told == "config" else self.options.burst
        options = replace(self.options, burst=min(burst, self.options.burst))
        return ideal([work(task, options) for task in self.tasks], {"main": options}).makespan


def mix(
    seed: int,
    *,
    house: str | None = None,
    told: str | None = None,
    kinds: str | None = None,
    burst: float | None = None,
    off: float = 1.0,
    tasks: int | None = None,
    latency: float | None = None,
) -> Mix:
    """The mix of that seed, but for what is given."""
    rng = random.Random(seed)
    house = _or(house, rng.choice(list(WIRE)))
    told = _or(told, rng.choice(("config", "headers", "both")))
    able = tuple(OUR_NAMES) if told in ("config", "both") else IN_HEADERS[house] if told == "headers" else FINDABLE
    having = tuple(kinds.split(",")) if kinds else tuple(rng.sample(able, rng.randint(1, len(able))))
    count = _or(tasks, rng.randint(30, 150))
    options = Options(
        latency=_or(latency, between(rng, 0.05, 3.0)),
        spread=rng.choice((0.0, 0.5, 1.0)),
        burst=_or(burst, between(rng, 0.3, 60.0)),
        output_tokens=rng.randint(20, 200),
        output_spread=rng.choice((0.0, 0.7)),
        no_headers=told in ("config", "nothing"),
        seed=seed,
    )
    sizes = [min(3000, max(20, round(rng.lognormvariate(math.log(200), 0.7)))) for _ in range(count)]
    most = [rng.randint(20, 300) for _ in range(count)]
    works = [
        prompt(str(i), input_tokens=size, max_tokens=m, expected=(max(1, round(size / off)), m), wire=WIRE[house])
        for i, (size, m) in enumerate(zip(sizes, most, strict=True))
    ]
    _limit(options, having, works, rng)
    return Mix(seed, house, told, having, off, options, tuple(works))


def _limit(options: Options, kinds: tuple[str, ...], tasks: list[NewTask], rng: random.Random) -> None:
    """Each limit such that it alone would take 5 to 60 seconds."""
    charges = [work(task, options).charge for task in tasks]
    totals = {
        "rpm": len(tasks),
        "tpm": sum(charge.tokens for charge in charges),
        "input_tpm": sum(charge.input_tokens for charge in charges),
        "output_tpm": sum(charge.output_tokens for charge in charges),
    }
    for kind in kinds:
        options.concurrency = rng.randint(1, 40) if kind == "concurrency" else options.concurrency
        if kind in totals:
            setattr(options, kind, float(round(totals[kind] / rng.uniform(5, 60) * 60)))


def work(task: NewTask, options: Options, accounts: tuple[str, ...] = ("main",), arrival: float = 0.0) -> Work:
    """A task as the simulator with these options will charge it."""
    wire = wires()[PATHS[task.spec.wire]]
    ask = wire.understand(orjson.loads(task.body))
    length = length_of(options.seed, ask.text, options.output_tokens, options.output_spread)
    written = length if ask.max_tokens is None else min(length, ask.max_tokens)
    return Work(
        accounts,
        wire.charge(ask, written),
        arrival,
        task.route.urgency,
        task.route.lane,
        task.route.model,
        written,
    )


def between(rng: random.Random, low: float, high: float) -> float:
    """Log-uniform: each doubling as likely as any other."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _or(given: Any, drawn: Any) -> Any:
    return drawn if given is None else given


def row(one: Mix) -> dict[str, Any]:
    """What happened to a mix, in a line."""
    world = one.play()
    books, best = world.books(), one.ideal_s()
    return {
        "seed": one.seed,
        "house": one.house,
        "told": one.told,
        "kinds": ",".join(one.kinds),
        "burst": round(one.options.burst, 2),
        "tasks": len(one.tasks),
        "latency": round(one.options.latency, 2),
        "seconds": round(world.seconds, 2),
        "ideal": round(best, 2),
        "ratio": round(world.seconds / best, 3),
        "refused": books["rate_limited"],
        "refused_by": books["refused_by"],
        "levels": {name: round(level, 1) for name, level in world.desk().limiter.state(world.clock.now()).items()},
    }


def main(arguments: list[str]) -> None:
    first, last = int(arguments[0]), int(arguments[1])
    given: Mapping[str, Any] = dict(pair.split("=", 1) for pair in arguments[2:])
    numbers = {name: float(given[name]) for name in ("burst", "off", "latency") if name in given}
    rows = [row(mix(seed, **{**given, **numbers})) for seed in range(first, last)]
    for one in sorted(rows, key=lambda one: (one["refused"], one["ratio"])):
        print(one)
    refused = sum(one["refused"] > 0 for one in rows)
    print(f"{refused} of {len(rows)} were refused; {sum(one['ratio'] > 1.1 for one in rows)} beyond a ratio of 1.1")


if __name__ == "__main__":
    main(sys.argv[1:])
