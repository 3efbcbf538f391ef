"""The tail: no run hangs on its last call, and no answer that would have come is broken off."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from typing import Any

import pytest

from laneway.dispatch.ending import StopReason
from laneway.dispatch.latency import ENOUGH, FLOOR_S, Group, Histogram, Latencies
from laneway.providers.model import Limits, Model
from laneway.simulator.options import Options
from laneway.task import Failure, FailureClass, NewTask, Spec, State, Wire
from tests.dispatch.practice import Call, Practice, account, practise, prompt

GROUP = Group("small", "main", "chat")


def slots(n: int, timeout: float = 120.0) -> list[Model]:
    return [Model("small", "small", (account(limits=Limits(concurrency=n)),), 1.0, 1.0, timeout=timeout)]


def codes(world: Practice) -> Counter[str]:
    return Counter(call.failure.code for call in world.calls if call.failure)


def broken_off(world: Practice) -> list[Call]:
    return [call for call in world.calls if call.failure and call.failure.code == "timeout"]


class TestLatencies:
    def test_too_few_answers_say_nothing(self) -> None:
        known = Latencies()
        for _ in range(ENOUGH - 1):
            known.answered(GROUP, 100, 50, 1.0)
        assert known.usual(GROUP, 100, 50) is None
        known.answered(GROUP, 100, 50, 1.0)
        assert known.usual(GROUP, 100, 50) is not None
        assert known.usual(GROUP._replace(type="other"), 100, 50) is None

    def test_the_figures_are_those_seen_within_a_step(self) -> None:
        histogram = Histogram()
        for i in range(1000):
            histogram.add(0.5 + i / 1000)
        usual = histogram.usual()
        assert usual is not None
        assert 1.0 <= usual.median <= 1.2
        assert 1.49 <= usual.slow <= 1.8

    def test_what_was_long_ago_fades(self) -> None:
        histogram = Histogram()
        for seconds in (*[8.0] * 2000, *[0.5] * 12_000):
            histogram.add(seconds)
        usual = histogram.usual()
        assert usual is not None
        assert usual.median <= 0.6
        assert usual.limit <= FLOOR_S * 1.1, "and the limit with it"

    def test_a_size_that_is_not_known_has_that_of_a_larger_one_or_longer_than_a_smaller(self) -> None:
        known = Latencies()
        for _ in range(ENOUGH):
            known.answered(GROUP, 0, 100, 2.0)
        middle = known.usual(GROUP, 0, 100)
        assert middle is not None
        assert known.usual(GROUP, 0, 10) == middle
        large = known.usual(GROUP, 0, 400)
        assert large is not None
        assert large.slow == 4 * middle.slow

    def test_calls_broken_off_teach_that_answers_take_longer(self) -> None:
        known = Latencies()
        for _ in range(100):
            known.answered(GROUP, 0, 100, 5.0)
        before = known.usual(GROUP, 0, 100)
        for _ in range(3):
            known.broken_off(GROUP, 0, 100, 40.0)
        after = known.usual(GROUP, 0, 100)
        assert before is not None
        assert after is not None
        assert after.limit > 2 * before.limit

    def test_what_is_known_outlasts_a_restart(self) -> None:
        known, again = Latencies(), Latencies()
        for i in range(500):
            known.answered(GROUP, 0, 100, 1.0 + i / 100)
        ((model, state),) = known.changes()
        assert list(known.changes()) == []
        again.restore(model, state)
        assert again.usual(GROUP, 0, 100) == known.usual(GROUP, 0, 100)

    def test_memory_is_bounded(self) -> None:
        known = Latencies()
        for i in range(2000):
            known.answered(GROUP._replace(type=str(i)), 0, 100, 1.0)
        ((_, state),) = known.changes()
        assert len(state["latencies"]) == 500


def test_the_last_of_500_never_answered_costs_ten_seconds_and_a_retry() -> None:
    world = practise([prompt(str(i)) for i in range(500)], options=Options(latency=1.0, hang_nth=500), models=slots(50))
    (hung,) = broken_off(world)
    assert hung.failure is not None
    assert hung.failure.message == "no answer within 10 s (usual 1 s)"
    assert set(world.states.values()) == {State.SUCCEEDED}
    assert world.seconds < 10 + FLOOR_S + 1 + 2, "the others, the wait, a pause, and the second try"


def test_a_call_from_before_enough_was_known_is_broken_off_once_it_is() -> None:
    world = practise([prompt(str(i)) for i in range(200)], options=Options(latency=1.0, hang_nth=5), models=slots(500))
    (hung,) = broken_off(world)
    assert hung.failure is not None
    assert hung.failure.message == "no answer within 10 s (usual 1 s)"
    assert world.seconds < FLOOR_S + 3


def test_before_enough_is_known_the_configured_timeout_holds() -> None:
    options = Options(latency=1.0, hang_nth=20)
    world = practise([prompt(str(i)) for i in range(20)], options=options, models=slots(50, timeout=45.0))
    (hung,) = broken_off(world)
    assert hung.failure is not None
    assert hung.failure.message == "no answer within 45 s"


@pytest.mark.parametrize("spread", [0.6, 1.0])
def test_no_honest_answer_is_broken_off(spread: float) -> None:
    options = Options(latency=4.0, spread=spread)
    world = practise([prompt(str(i)) for i in range(2000)], options=options, models=slots(40, timeout=3600.0))
    assert not codes(world)
    assert len(world.calls) == 2000
    usual = world.desks.latencies.usual(GROUP, 100, Options().output_tokens)
    assert usual is not None
    assert usual.limit < (120 if spread < 1 else 1000), "or it would be no test"


def test_a_provider_that_gets_slow_for_all_is_waited_for() -> None:
    world = practise(
        [prompt(str(i)) for i in range(600)],
        options=Options(latency=0.5, spread=0.3),
        models=slots(20),
        changes={7.0: {"latency": 30.0}},
    )
    assert not codes(world)
    assert len(world.calls) == 600


def test_a_provider_that_hangs_in_the_middle_ends_the_run_in_bounded_time() -> None:
    world = practise(
        [prompt(str(i)) for i in range(600)],
        options=Options(latency=1.0),
        models=slots(20),
        changes={10.0: {"latency": 100_000.0}},
    )
    assert world.stop is not None
    assert world.stop.reason is StopReason.UNREACHABLE
    assert "no answer within" in world.stop.message
    assert world.seconds < 10 + 4 * FLOOR_S + 600 + 120
    assert not any(state is State.FAILED for state in world.states.values())
    assert len(broken_off(world)) < 20 + 600 / FLOOR_S + 5, "the calls in flight, then one at a time"


class TestTimeLimit:
    """What a task may take in all."""

    def one(self, limit: float = 60.0, fallbacks: tuple[str, ...] = (), **spec: Any) -> NewTask:
        return prompt("a", fallbacks=fallbacks, spec=Spec("chat", Wire.CHAT, time_limit=limit, **spec))

    def end(self, task: NewTask, **world: Any) -> tuple[Practice, Failure]:
        errors: list[Failure] = []

        async def then(world: Practice) -> None:
            error = (await world.store.find_task("a")).error
            assert error is not None
            errors.append(Failure(FailureClass(error["class"]), error["code"], error["message"]))

        done = practise([task], then, **{"models": slots(5), **world})
        assert done.states["a"] is State.FAILED
        return done, errors[0]

    def test_a_call_is_waited_for_no_longer_than_is_left(self) -> None:
        world, failure = self.end(self.one(60.0), options=Options(hang_nth=1))
        assert (failure.cls, failure.code) == (FailureClass.TRANSIENT, "time_limit")
        assert (
            failure.message == "not done within its time limit of 60 s: 1 call in 60 s, the last: broken off after 60 s"
        )
        assert 60 <= world.seconds < 61
        assert world.desk().breaker.closed
        assert world.desk().last_failure is None, "that says nothing of the provider"

    def test_no_try_starts_that_could_not_end(self) -> None:
        task = self.one(60.0, max_attempts=50, retry_delays=(20.0,))
        world, failure = self.end(task, options=Options(latency=1.0, error_rate=1.0))
        assert failure.code == "time_limit"
        assert (
            failure.message == "not done within its time limit of 60 s: 3 calls in 43 s, the last: server_error (500)"
        )
        assert world.seconds < 60

    def test_it_counts_over_fallbacks(self) -> None:
        (small,) = slots(5)
        models = [small, dataclasses.replace(small, name="strong", id="strong")]
        task = self.one(20.0, ("strong",), max_attempts=4, retry_delays=(9.0,))
        world, failure = self.end(task, models=models, options=Options(latency=1.0, error_rate=1.0))
        assert [call.model for call in world.calls] == ["small", "small", "strong"]
        assert failure.message.startswith("not done within its time limit of 20 s: 3 calls in")

    def test_the_wait_before_the_first_call_does_not_count(self) -> None:
        tasks = [prompt(str(i), spec=Spec("chat", Wire.CHAT, time_limit=10.0)) for i in range(100)]
        world = practise(tasks, options=Options(latency=8.0), models=slots(5))
        assert set(world.states.values()) == {State.SUCCEEDED}
        assert world.seconds > 150

    def test_a_paused_account_does_not_use_it_up(self) -> None:
        task = self.one(10.0)

        async def meanwhile(world: Practice) -> None:
            await asyncio.sleep(100)
            world.side.options.key = ("main",)
            world.desks.forgive("main")

        world = practise(
            [task], options=Options(latency=1.0, key=("other",)), models=slots(5), arrivals=[(0, prompt("b"))],
            meanwhile=meanwhile,
        )  # fmt: skip
        assert world.states["a"] is State.SUCCEEDED


def test_an_honestly_long_task_ends() -> None:
    """One call takes a minute, where the 500 before it took half a second."""
    for attempts, timeouts in ((6, 2), (1, 0)):
        long = prompt("long", spec=Spec("chat", Wire.CHAT, max_attempts=attempts))
        world = practise(
            [prompt(str(i)) for i in range(500)],
            options=Options(latency=0.5),
            models=slots(20),
            changes={12.6: {"latency": 60.0}},
            arrivals=[(13.5, long)],
        )
        assert world.states["long"] is State.SUCCEEDED
        assert len(broken_off(world)) == timeouts
