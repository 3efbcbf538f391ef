"""Outages in mid-run, in simulated time: nothing is used up, and everything is back soon."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from laneway.dispatch.breaker import Doubt
from laneway.dispatch.desk import Admission, Desk
from laneway.dispatch.ending import Stop, StopReason
from laneway.dispatch.limits import Size
from laneway.providers.model import Account, Limits, Reply
from laneway.task import Failure, FailureClass, NewTask, Outcome, Spec, State, Wire
from tests.dispatch.world import DOWN, World, in_world, task
from tests.dispatch.world import REFUSED as REFUSED_FOR_NOW

REFUSED = Failure(FailureClass.TRANSIENT, "connection", "nothing listens", outage=True)
BEGIN, END = 10.0, 70.0
ONCE = Spec("chat", Wire.CHAT, max_attempts=1)  # a single attempt burned would fail it


def spread(rng: random.Random) -> float:
    return rng.lognormvariate(0.0, 0.4)


async def counted(world: World) -> dict[State, int]:
    counts: dict[State, int] = {}
    for cell in await world.store.tally(world.run.id):
        for state, n in cell.counts.items():
            if n:
                counts[state] = counts.get(state, 0) + n
    return counts


def many(n: int, spec: Spec = ONCE) -> list[NewTask]:
    return [task(str(i), spec=spec, due=1_700_000_000.0 + i) for i in range(n)]


@pytest.mark.parametrize("failure", [DOWN, REFUSED], ids=["errors", "refused"])
@pytest.mark.parametrize("latency", [lambda rng: 1.0, spread], ids=["even", "spread"])
def test_a_minute_s_outage_burns_no_attempt_and_is_over_within_five_seconds(
    failure: Failure, latency: Callable[[random.Random], float]
) -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert await counted(world) == {State.SUCCEEDED: 600}
        starts = [at for at, _, _ in world.provider.starts]
        usual = sum(BEGIN - 8 <= at < BEGIN for at in starts) / 8
        assert sum(BEGIN + 6 < at < END for at in starts) <= 54, "one call at a time looks whether it is back"
        back = next(at / 4 for at in range(280, 400) if sum(at / 4 <= s < at / 4 + 2 for s in starts) >= 1.8 * usual)
        assert back < END + 5

    in_world(
        many(600),
        then,
        limits=Limits(concurrency=20),
        latency=latency,
        fault=lambda at, model: failure if BEGIN <= at < END else None,
        account_latency=lambda at, name: 0.01 if failure is REFUSED and BEGIN <= at < END else None,
    )


@pytest.mark.parametrize("n", [1, 2, 4])
def test_few_tasks_survive_ten_minutes_without_a_connection(n: int) -> None:
    async def then(world: World, stop: Stop) -> None:
        assert await counted(world) == {State.SUCCEEDED: n}
        for one in range(1, n + 1):
            attempts = await world.store.attempts(one)
            assert [a.outcome for a in attempts][-1] is Outcome.OK

    in_world(
        many(n),
        then,
        limits=Limits(concurrency=10),
        latency=lambda rng: 0.05,
        fault=lambda at, model: REFUSED if at < 590 else None,
        whole_store=True,
        meanwhile=_until(700),
    )


def test_two_tasks_survive_ten_minutes_of_errors() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert await counted(world) == {State.SUCCEEDED: 2}

    in_world(
        many(2, Spec("chat", Wire.CHAT)),
        then,
        latency=lambda rng: 0.05,
        fault=lambda at, model: DOWN if at < 590 else None,
        whole_store=True,
        meanwhile=_until(700),
    )


def test_a_task_that_fails_alone_ends() -> None:
    """Its provider answers all others: it is not an outage, whatever the status says."""

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert (await counted(world))[State.FAILED] == 1
        assert world.seconds < 60

    async def before(world: World) -> None:
        call = world.provider.call

        async def doomed(account: object, model: object, spec: object, body: bytes, **more: object) -> object:
            reply = await call(account, model, spec, body, **more)  # type: ignore[arg-type]
            return reply if body != b"doomed" else type(reply)(None, None, DOWN, 0.3)

        world.provider.call = doomed  # type: ignore[method-assign, assignment]

    spec = Spec("chat", Wire.CHAT, max_attempts=3)
    in_world([task("doomed", spec=spec), *many(300, spec)], then, before=before, latency=lambda rng: 1.0)


def test_random_errors_burn_attempts_as_ever_and_open_nothing() -> None:
    rng = random.Random(4)

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        burned = 0
        for one in await world.store.get_tasks(range(1, 501)):
            burned += one.attempts - 1
        assert burned == sum(1 for _ in faults)
        assert world.seconds < 500 / 10 * 0.3 * 1.25 + 4

    faults: list[float] = []

    def fault(at: float, model: str) -> Failure | None:
        if rng.random() < 0.05:
            faults.append(at)
            return DOWN
        return None

    in_world(many(500, Spec("chat", Wire.CHAT, max_attempts=9)), then, fault=fault)


@pytest.mark.parametrize("abort", [False, True])
def test_a_drain_in_an_outage_loses_nothing_and_does_not_wait(abort: bool) -> None:
    async def stop_it(world: World) -> None:
        await asyncio.sleep(1.05)
        world.dispatcher.abort() if abort else world.dispatcher.drain()

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.INTERRUPTED
        assert world.seconds < 2
        await world.store.leave("w", world.clock.now())
        counts = await counted(world)
        assert counts.get(State.FAILED) is None
        assert sum(counts.values()) == 100
        assert State.RUNNING not in counts

    in_world(
        many(100),
        then,
        limits=Limits(concurrency=3),
        latency=lambda rng: 0.5,
        fault=lambda at, model: DOWN if at >= 0.5 else None,
        meanwhile=stop_it,
    )


def _until(seconds: float) -> Callable[[World], object]:
    async def wait(world: World) -> None:
        await asyncio.sleep(seconds)
        world.dispatcher.drain()

    return wait


def test_a_refusal_does_not_show_that_failures_were_the_tasks_own() -> None:
    account = Account("main", "openai", Wire.CHAT, "http://provider", limits=Limits(concurrency=10))
    desk = Desk(account, 0.0, random.Random(1))

    def ends(at: float, failure: Failure | None) -> Doubt | None:
        admission = desk.admit(Size(1, 1, 1), at)
        assert isinstance(admission, Admission)
        return desk.settle(admission, Reply(None, None, failure, 0.1), at + 0.1, task=1)

    doubt = ends(0.0, DOWN)
    assert doubt is not None
    ends(0.2, REFUSED_FOR_NOW)
    assert doubt.innocent is None
    ends(1.5, None)
    assert doubt.innocent is False
