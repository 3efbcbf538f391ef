"""The whole loop in simulated time, against a provider that counts by itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laneway.dispatch.ending import Stop, StopReason
from laneway.providers.model import Limits
from laneway.task import Failure, FailureClass, Outcome, Spec, State, Urgency, Wire
from tests.dispatch.world import DOWN, World, in_world, task

BAD = Failure(FailureClass.REQUEST, "bad_request", "never", 400)
WRONG_KEY = Failure(FailureClass.ACCOUNT, "invalid_api_key", "wrong key", 401)


async def states(world: World) -> Counter[State]:
    total: Counter[State] = Counter()
    for cell in await world.store.tally(world.run.id):
        total.update(cell.counts)
    return +total


def test_all_slots_are_used_all_the_time() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert world.provider.most_in_flight == 10
        assert world.seconds == pytest.approx(200 / 10 * 0.3, rel=0.02)

    in_world([task(str(i)) for i in range(200)], then)


def test_requests_a_minute_are_sent_evenly_and_never_refused() -> None:
    def then(world: World, stop: Stop) -> None:
        assert world.provider.refused == 0
        assert world.seconds <= 1.06 * 20.2

    in_world([task(str(i)) for i in range(200)], then, limits=Limits(requests_per_minute=600), rpm=600)


def test_tokens_a_minute_hold_work_back() -> None:
    def then(world: World, stop: Stop) -> None:
        assert world.seconds == pytest.approx(100 * 150 / 3000 * 60, rel=0.06)

    in_world([task(str(i)) for i in range(100)], then, limits=Limits(tokens_per_minute=3000))


def test_a_request_larger_than_the_bucket_goes_and_leaves_a_debt() -> None:
    def then(world: World, stop: Stop) -> None:
        assert len(world.provider.starts) == 3
        assert world.provider.starts[1][0] >= 9.0

    big = [task(str(i), input_tokens=1000, output_tokens=0) for i in range(3)]
    in_world(big, then, limits=Limits(input_tokens_per_minute=600, concurrency=5))


def test_transient_failures_end_well() -> None:
    def fault(at: float, model: str) -> Failure | None:
        return DOWN if int(at * 1000) % 7 == 0 else None

    async def then(world: World, stop: Stop) -> None:
        assert await states(world) == {State.SUCCEEDED: 300}
        assert len(world.provider.starts) > 300

    in_world([task(str(i)) for i in range(300)], then, fault=fault, latency=lambda rng: rng.uniform(0.1, 0.5))


def test_a_request_nobody_can_take_fails_once_and_others_go_on() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert await states(world) == {State.FAILED: 3}
        assert len(world.provider.starts) == 3

    in_world([task(str(i)) for i in range(3)], then, fault=lambda at, model: BAD)


def test_a_fallback_takes_what_the_first_model_will_not() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert await states(world) == {State.SUCCEEDED: 3}
        assert [model for _, model, _ in world.provider.starts].count("strong") == 3

    tasks = [task(str(i), fallbacks=("strong",)) for i in range(3)]
    in_world(tasks, then, fault=lambda at, model: BAD if model == "small" else None)


def test_every_task_ends_even_under_an_error_that_never_goes_away() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert await states(world) == {State.FAILED: 1, State.SUCCEEDED: 20}

    def fault(at: float, model: str) -> Failure | None:
        return DOWN if model == "strong" else None

    tasks = [task("doomed", model="strong", spec=Spec("chat", Wire.CHAT, max_attempts=3))]
    in_world(tasks + [task(str(i)) for i in range(20)], then, fault=fault)


def test_a_wrong_key_stops_the_run_and_keeps_the_tasks() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.ACCOUNT
        assert "wrong key" in stop.message
        assert await states(world) == {State.READY: 50}
        assert len(world.provider.starts) == 10, "no more than were in flight"

    in_world([task(str(i)) for i in range(50)], then, fault=lambda at, model: WRONG_KEY)


def test_a_provider_that_never_answers_stops_the_run() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.UNREACHABLE
        assert world.seconds < 60

    in_world([task(str(i)) for i in range(50)], then, fault=lambda at, model: DOWN)


def test_the_budget_is_never_passed_by_more_than_what_is_in_flight() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        run = await world.store.get_run(world.run.id)
        assert 0.9 * 0.0015 <= run.spent <= 0.0015 + 1e-9
        assert world.desk().in_flight == 0, "what was not claimed was handed back"

    in_world([task(str(i)) for i in range(50)], then, max_cost=0.0015)


def test_the_budget_is_not_used_up_while_an_answer_waits_to_be_written() -> None:
    """An answer costs less than was reserved for it; that is known once it is settled."""

    async def slowly(world: World) -> None:
        settle = world.store.settle

        async def later(*arguments: Any) -> list[bool]:
            await asyncio.sleep(0.1)
            return await settle(*arguments)

        world.store.settle = later  # type: ignore[method-assign, assignment]

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE

    in_world([task(str(i), output_tokens=5000) for i in range(10)], then, before=slowly, max_cost=0.0069)


def test_lane_concurrency_holds() -> None:
    peak = Counter[str]()

    async def watch(world: World) -> None:
        while world.dispatcher.in_flight or world.seconds < 1:
            for lane, n in world.dispatcher.in_flight_by_lane().items():
                peak[lane] = max(peak[lane], n)
            await asyncio.sleep(0.05)

    tasks = [task(f"{lane}{i}", lane=lane) for lane in ("legal", "general") for i in range(40)]
    in_world(tasks, lanes={"legal": 3}, meanwhile=watch)
    assert peak["legal"] == 3
    assert peak["general"] >= 7


def test_draining_finishes_what_is_in_flight_and_starts_nothing() -> None:
    async def interrupt(world: World) -> None:
        await asyncio.sleep(1.0)
        world.dispatcher.drain()

    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.INTERRUPTED
        found = await states(world)
        assert found[State.RUNNING] == 0
        assert found[State.SUCCEEDED] == len(world.provider.starts)

    in_world([task(str(i)) for i in range(200)], then, meanwhile=interrupt)


def test_breaking_off_returns_the_tasks() -> None:
    async def interrupt(world: World) -> None:
        await asyncio.sleep(0.1)
        world.dispatcher.abort()

    async def then(world: World, stop: Stop) -> None:
        assert world.seconds < 0.2
        await world.store.leave("w", world.clock.now())
        assert await states(world) == {State.READY: 50}
        (attempt,) = await world.store.attempts(1)
        assert attempt.outcome is Outcome.LOST

    in_world([task(str(i)) for i in range(50)], then, meanwhile=interrupt)


def test_urgent_work_takes_the_next_free_slot() -> None:
    async def submit(world: World) -> None:
        await asyncio.sleep(2.0)
        await world.store.submit(world.run, [task("now!", Urgency.IMMEDIATE)], world.clock.now())

    def then(world: World, stop: Stop) -> None:
        (at,) = [at for at, _, body in world.provider.starts if body == "now!"]
        assert at - 2.0 <= 0.35 + 0.25

    in_world([task(str(i), Urgency.RELAXED, due=0.0) for i in range(300)], then, meanwhile=submit)


def test_the_lowest_class_is_not_starved() -> None:
    tasks = [task(f"u{i}", Urgency.URGENT, due=9e9) for i in range(400)]
    tasks += [task(f"r{i}", Urgency.RELAXED, due=9e9) for i in range(20)]

    def then(world: World, stop: Stop) -> None:
        first = [body for _, _, body in world.provider.starts[:300]]
        assert 10 <= sum(body.startswith("r") for body in first) <= 20

    in_world(tasks, then)


@settings(max_examples=25, deadline=None)
@given(
    rpm=st.sampled_from([None, 60.0, 300.0, 1200.0]),
    tpm=st.sampled_from([None, 6000.0, 60000.0]),
    slots=st.sampled_from([1, 3, 20]),
    latency=st.sampled_from([0.05, 0.4, 2.0]),
    n=st.integers(1, 60),
    seed=st.integers(0, 5),
)
def test_any_mix_of_limits_is_kept_and_every_task_ends(
    rpm: float | None, tpm: float | None, slots: int, latency: float, n: int, seed: int
) -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert await states(world) == {State.SUCCEEDED: n}
        assert world.provider.refused == 0
        assert world.provider.most_in_flight <= slots
        starts = [at for at, _, _ in world.provider.starts]
        if rpm is not None:
            for first, last in zip(starts, starts[60:], strict=False):
                assert (last - first) * rpm / 60 + rpm / 60 * 0.5 + 1 + 1e-6 >= 61
        ideal = max(n / slots * latency, (n - 1) / (rpm or 1e9) * 60, n * 150 / (tpm or 1e9) * 60 - 2)
        assert world.seconds <= ideal * 1.1 + latency * 2.5 + 2.5

    limits = Limits(requests_per_minute=rpm, tokens_per_minute=tpm, concurrency=slots)
    in_world(
        [task(str(i)) for i in range(n)],
        then,
        limits=limits,
        rpm=rpm,
        concurrency=slots,
        latency=lambda rng: latency * rng.lognormvariate(0, 0.2),
    )


def test_after_two_unusable_answers_the_next_model_begins_afresh() -> None:
    unusable = Failure(FailureClass.OUTPUT, "not_json", "no JSON")

    async def then(world: World, stop: Stop) -> None:
        assert world.provider.complaints == [("small", 0), ("small", 1), ("strong", 0), ("strong", 1)]
        (done,) = await world.store.get_tasks([1])
        assert (done.state, done.attempts) == (State.FAILED, 4), "max_attempts, over both models"

    spec = Spec("review", Wire.CHAT, max_attempts=4)
    in_world([task("a", spec=spec, fallbacks=("strong",))], then, fault=lambda at, model: unusable)


def test_a_task_whose_check_is_not_here_fails_without_a_call() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert world.provider.starts == []
        (done,) = await world.store.get_tasks([1])
        assert done.state is State.FAILED
        assert done.error is not None
        assert done.error["code"] == "check_missing"
        assert "bring it" in done.error["message"]

    in_world([task("a", spec=Spec("review", Wire.CHAT, checks=({"function": "m:f"},)))], then)
