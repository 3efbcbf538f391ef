"""Limits that somebody sets while work goes on, in simulated time: heeded within a second, by all workers, and given
back."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from laneway.dispatch.ending import Stop
from laneway.dispatch.limits import Limiter, Size
from laneway.providers.model import Limits
from laneway.simulator.options import Options
from laneway.store.live_limits import STATE, live_limits
from laneway.task import State
from tests.dispatch.fleet import Fleet, in_fleet
from tests.dispatch.practice import account, prompt
from tests.dispatch.test_dispatcher import states
from tests.dispatch.world import World, in_world, task
from tests.virtual import EPOCH


async def set_(world: World, place: str, **values: float) -> None:
    now = world.clock.now()
    await world.store.save_state(f"{STATE}{place}", {**values, "by": "ann", "at": now}, now)


def between(world: World, since: float, until: float) -> list[float]:
    return [at for at, *_ in world.provider.starts if since <= at < until]


def test_a_lanes_concurrency_is_lowered_raised_and_given_back() -> None:
    seen: dict[str, int] = {}

    async def meanwhile(world: World) -> None:
        for name, values in (("few", {"concurrency": 2}), ("more", {"concurrency": 6}), ("again", {})):
            await asyncio.sleep(3)
            await set_(world, "lane:general", **values)
            await asyncio.sleep(1.5)
            world.provider.most_in_flight = 0
            await asyncio.sleep(3)
            seen[name] = world.provider.most_in_flight

    async def then(world: World, stop: Stop) -> None:
        assert seen == {"few": 2, "more": 6, "again": 10}
        assert await states(world) == {State.SUCCEEDED: 600}

    in_world([task(f"t{i}") for i in range(600)], then, meanwhile=meanwhile)


def test_a_lane_without_a_bound_gets_one_and_loses_it_again() -> None:
    async def meanwhile(world: World) -> None:
        await asyncio.sleep(2)
        await set_(world, "lane:general", concurrency=1)
        await asyncio.sleep(1.5)
        world.provider.most_in_flight = 0
        await asyncio.sleep(30)
        assert world.provider.most_in_flight == 1
        await set_(world, "lane:general")
        await asyncio.sleep(20)  # longer than what the lane's last grant was good for
        assert world.provider.most_in_flight == 10

    async def then(world: World, stop: Stop) -> None:
        assert await states(world) == {State.SUCCEEDED: 800}

    in_world([task(f"t{i}") for i in range(800)], then, meanwhile=meanwhile)


def test_what_was_set_before_a_worker_begins_holds_from_its_first_call() -> None:
    async def before(world: World) -> None:
        await set_(world, "lane:legal", concurrency=1)
        await set_(world, "account:main", concurrency=3)

    async def then(world: World, stop: Stop) -> None:
        assert world.provider.most_in_flight == 3
        legal = sorted(at for at, _, body in world.provider.starts if body.startswith("l"))
        assert all(later - at >= 0.3 - 1e-6 for at, later in pairwise(legal))

    work = [*(task(f"l{i}", lane="legal", due=EPOCH - 9) for i in range(10)), *(task(f"g{i}") for i in range(30))]
    in_world(work, then, before=before)


def test_an_accounts_concurrency_and_rate_are_lowered_and_given_back() -> None:
    async def meanwhile(world: World) -> None:
        await asyncio.sleep(2)
        await set_(world, "account:main", concurrency=3)
        await asyncio.sleep(1.5)
        world.provider.most_in_flight = 0
        await asyncio.sleep(3)
        assert world.provider.most_in_flight == 3
        assert world.desk().state(world.clock.now())["origins"]["concurrency"] == "hand"
        await set_(world, "account:main", requests_per_minute=120)
        begun = world.seconds + 1.5
        await asyncio.sleep(21.5)
        assert len(between(world, begun, begun + 20)) == pytest.approx(40, abs=2)
        await set_(world, "account:main")
        begun = world.seconds + 1.5
        await asyncio.sleep(6.5)
        assert len(between(world, begun, begun + 5)) > 120, "ten at once, 0.3 s each"

    async def then(world: World, stop: Stop) -> None:
        assert await states(world) == {State.SUCCEEDED: 500}

    in_world([task(f"t{i}") for i in range(500)], then, meanwhile=meanwhile)


def test_weights_change_who_goes() -> None:
    async def meanwhile(world: World) -> None:
        await asyncio.sleep(5)
        await set_(world, "lane:legal", weight=4)

    async def then(world: World, stop: Stop) -> None:
        def share(since: float, until: float) -> float:
            bodies = [body for at, _, body in world.provider.starts if since <= at < until]
            return sum(body.startswith("l") for body in bodies) / len(bodies)

        assert share(0.5, 5) == pytest.approx(0.5, abs=0.05)
        assert share(6, 10) == pytest.approx(0.8, abs=0.05)

    work = [task(f"{lane[0]}{i}", lane=lane) for lane in ("legal", "general") for i in range(250)]
    in_world(work, then, meanwhile=meanwhile)


def test_a_rate_that_is_not_stated_any_more_is_forgotten_also_by_calls_in_flight() -> None:
    limiter = Limiter(Limits(), 0.0)
    limiter.configure(Limits(requests_per_minute=60), 0.0)
    calls = [limiter.take(Size(1, 1), 0.0) for _ in range(3)]
    assert limiter.free_at(Size(1, 1), 0.0)[1] == "requests_per_minute"
    limiter.configure(Limits(), 0.1)
    assert (limiter.known, limiter.free_at(Size(1, 1), 0.1)) == (False, (0.1, ""))
    limiter.give_back(calls[0], 0.2)
    limiter.settle(calls[1], 5, 5, 0.2)
    limiter.let_go(calls[2], 0.2)
    assert limiter.limits() == {}


@pytest.mark.parametrize(
    ("state", "values"),
    [
        ({"concurrency": 2, "by": "ann", "at": 1.0}, {"concurrency": 2}),
        ({"concurrency": None, "by": "ann", "at": 1.0}, None),
        ({"weight": "2", "colour": 3}, None),
    ],
)
def test_only_what_makes_sense_is_taken_from_the_store(state: dict[str, Any], values: dict[str, float] | None) -> None:
    found = live_limits({"lane:a:b": (state, 1.0), "run:3": ({"weight": 2}, 1.0)})
    assert [(one.name, dict(one.values)) for one in found] == ([] if values is None else [("a:b", values)])


@pytest.mark.parametrize("place", ["account:main", "lane:legal"])
def test_all_workers_of_a_fleet_heed_it_within_a_second_and_share_it(place: str) -> None:
    async def live(fleet: Fleet) -> None:
        def in_flight(at: float) -> int:
            calls = [call for one in fleet.all for call in one.calls]
            return sum(call.at <= at and (call.ended_at is None or call.ended_at > at) for call in calls)

        def started(since: float, until: float) -> int:
            return sum(since <= call.at < until for one in fleet.all for call in one.calls)

        await fleet.submit([prompt(str(i), lane="legal") for i in range(1500)])
        for name in ("w0", "w1", "w2"):
            await fleet.join(name)
        await asyncio.sleep(10)
        assert in_flight(fleet.seconds) == 30
        at = fleet.seconds
        await fleet.store.save_state(f"{STATE}{place}", {"concurrency": 6, "by": "ann", "at": 1.0}, fleet.clock.now())
        await asyncio.sleep(30)
        assert started(at + 1, at + 2) <= 6, "thirty would have begun in this second"
        assert all(in_flight(at + 2.5 + second) <= 6 for second in range(25))
        assert started(at + 5, at + 25) >= 0.9 * 6 * 20, "and they use it whole"
        await fleet.store.save_state(f"{STATE}{place}", {"by": "ann", "at": 2.0}, fleet.clock.now())
        await asyncio.sleep(10)
        assert in_flight(fleet.seconds) == 30
        await fleet.done()

    limited = account(limits=Limits(concurrency=30))
    in_fleet(live, options=Options(latency=1.0), accounts=[limited], lanes={"legal": 40})
