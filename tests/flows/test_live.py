"""Flows do the same again when they are replayed, whatever the order in which things happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from laneway import flow
from laneway.app.python.tasks import TaskFunction
from laneway.errors import TaskFailed, UsageError
from laneway.store.flows import WaitGroup
from laneway.task import State, WaitReason
from tests.flows.driver import START, Driver


def _named(name: str) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        raise AssertionError("a child's code does not run in its flow")

    function.__name__ = name
    return function


double, fail, total = (_task for _task in (TaskFunction(name, _named(name)) for name in ("double", "fail", "total")))


def answer(type_: str, args: list[Any]) -> Any:
    if type_ == "fail":
        raise ValueError("no good")
    return sum(args[0]) if type_ == "total" else args[0] * 2


def drive(function: Any, seed: int = 0) -> Driver:
    return Driver(function, answer, seed)


async def _branch(n: int) -> int:
    return int(await double(await double(n)))


async def wide() -> list[Any]:
    """A hundred children, many with equal arguments, in branches of all kinds."""
    first = await asyncio.gather(*(double(i % 7) for i in range(40)))
    second = await asyncio.gather(*(_branch(i % 3) for i in range(20)))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_branch(1)) for _ in range(5)]
    mapped = await flow.map(double, [1, 1, 2, 2, 3], concurrency=2)
    seen: list[int] = []

    async def noted(n: int) -> None:
        seen.append(n * await double(n))  # in the order in which they end

    await asyncio.gather(*(noted(n) for n in range(8)))
    try:
        await asyncio.gather(double(1), fail(1))
    except TaskFailed:
        seen.append(-1)
    try:
        async with asyncio.timeout(3):
            seen.append(await double(50))
    except TimeoutError:
        seen.append(-2)
    waiting = {asyncio.ensure_future(_branch(n)) for n in range(10, 16)}
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        seen += [one.result() for one in done]  # sets have no order of their own
    joined = await flow.reduce(total, range(20), width=3)
    quickest = await flow.any(double(8), double(9), fail(2))
    return [first, second, [task.result() for task in tasks], mapped, seen, joined, quickest, flow.now(), flow.random()]


class TestReplay:
    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 2**32), crashes=st.floats(0.05, 0.9))
    def test_a_flow_that_crashes_at_any_moment_ends_as_it_would_have(self, seed: int, crashes: float) -> None:
        """In the same world: what was heard is heard again in its order, and nothing is begun twice."""
        driver = drive(wide, seed)
        result = driver.run(crashes)
        assert set(driver.begun.values()) == {1}
        again = drive(wide, seed)
        again.history = driver.history
        replayed = again._fresh()
        assert replayed.value() == result
        assert not replayed.left().begun
        assert replayed.orphans() == []

    def test_nothing_is_begun_anew_by_two_hundred_replays_of_one_flow(self) -> None:
        driver = drive(wide, 7)
        while not driver.step():
            for _ in range(5):
                driver.live = None
                live = driver._fresh()
                assert not live.left().begun, "it would begin what was begun"
            driver.happen()
            driver.live = None
        assert driver.replays > 200
        assert set(driver.begun.values()) == {1}

    def test_names_come_from_the_code_and_not_from_the_order_of_events(self) -> None:
        names = []
        for seed in range(20):
            driver = drive(wide, seed)
            driver.run()
            names.append({name for name in driver.begun if not name.startswith("map")})
        assert all(each == names[0] for each in names)


class TestWaiting:
    def test_a_gather_of_children_is_one_wait_for_all_of_them(self) -> None:
        async def both() -> Any:
            return await asyncio.gather(double(1), double(2), double(3))

        driver = drive(both)
        live = driver._fresh()
        (group,) = live.left().waits_for
        assert (len(group.names), group.need, group.eager) == (3, 3, True)

    def test_branches_wait_for_themselves(self) -> None:
        async def both() -> Any:
            return await asyncio.gather(_branch(1), _branch(2), asyncio.gather(double(3), double(4)))

        groups = drive(both)._fresh().left().waits_for
        assert sorted((len(group.names), group.need) for group in groups) == [(1, 1), (1, 1), (2, 2)]

    def test_what_nobody_waits_for_wakes_nobody_but_is_done_before_the_flow_ends(self) -> None:
        async def loose() -> str:
            double(1)
            await double(2)
            return "done"

        driver = drive(loose)
        driver.step()
        assert driver._last is not None
        assert [len(group.names) for group in driver._last.waits_for] == [1]
        assert len(driver.history.children) == 2
        assert driver.run() == "done"
        assert {child.state for child in driver.history.children.values()} == {State.SUCCEEDED}

    def test_a_flow_that_fails_does_not_wait_for_the_rest(self) -> None:
        async def loose() -> None:
            double(1)
            await fail(2)

        driver = drive(loose, 1)
        with pytest.raises(TaskFailed, match="no good"):
            driver.run()

    def test_events_are_heard_in_their_order_and_kept_for_who_asks_late(self) -> None:
        async def listening() -> list[Any]:
            first = await flow.wait_event("go")
            await double(1)
            return [first, await flow.wait_event("go"), await flow.wait_event("stop")]

        driver = drive(listening)
        driver.step()
        assert driver._last is not None
        assert driver._last.reason is WaitReason.EVENT
        for name, data in (("go", 1), ("stop", 3), ("go", 2)):
            driver.send(name, data)
        driver.go_on()
        assert driver.run(0.5) == [1, 2, 3]

    def test_an_event_that_does_not_come_in_time_is_not_waited_for(self) -> None:
        async def impatient() -> str:
            try:
                return str(await flow.wait_event("go", timeout=60))
            except TimeoutError:
                return f"after {flow.now() - START:g} s"

        assert drive(impatient).run() == "after 60 s"

    def test_the_rest_of_a_race_is_called_off(self) -> None:
        async def race() -> int:
            return int(await flow.any(double(1), double(2), double(3)))

        driver = drive(race, 3)
        driver.run()
        states = [child.state for child in driver.history.children.values()]
        assert states.count(State.SUCCEEDED) >= 1

    def test_a_wait_for_nothing_that_can_come_is_a_fault_and_not_a_silence(self) -> None:
        async def stuck() -> None:
            await asyncio.Event().wait()

        with pytest.raises(UsageError, match="never happen"):
            drive(stuck)._fresh().left()

    def test_a_flow_that_never_waits_is_stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def busy() -> None:
            lock = asyncio.Lock()
            for _ in iter(int, 1):
                async with lock:
                    await asyncio.sleep(0)

        monkeypatch.setattr("laneway.flows.loop.MOST_CALLBACKS", 1000)
        with pytest.raises(UsageError, match="does not come to a point"):
            drive(busy)._fresh()

    @pytest.mark.parametrize(
        "reach",
        [
            lambda: asyncio.to_thread(print),
            lambda: asyncio.open_connection("localhost", 1),
            lambda: asyncio.create_subprocess_exec("true"),
        ],
    )
    def test_what_reaches_outside_is_refused_with_the_way_to_do_it(self, reach: Callable[[], Any]) -> None:
        async def reaching() -> None:
            await reach()

        live = drive(reaching)._fresh()
        with pytest.raises(UsageError, match="cannot use the network") as fault:
            live.value()
        assert "@lw.task" in fault.value.hint


class TestChangedCode:
    def test_what_is_not_begun_any_more_and_what_is_new_is_told(self) -> None:
        async def before() -> Any:
            return await double(1) + await double(2)

        async def after() -> Any:
            return await double(1) + await double(3)

        driver = drive(before)
        driver.step()
        driver.end(next(iter(driver.begun)))
        driver.go_on()
        driver.step()
        driver.live, driver.function = None, after
        live = driver._fresh()
        (orphan,) = live.orphans()
        (stranger,) = live.strangers()
        assert orphan != stranger
        left = live.left()
        assert [child.name for child in left.begun] == [stranger]
        assert left.waits_for == [WaitGroup((stranger,), 1, eager=True)]

    def test_a_retried_flow_begins_again_only_what_had_failed(self) -> None:
        async def careful() -> Any:
            return await asyncio.gather(double(1), fail(1), double(2))

        driver = drive(careful)
        with pytest.raises(TaskFailed):
            driver.run()
        driver.history.steps.clear()
        again = Driver(careful, lambda type_, args: 7)
        again.history = driver.history
        left = again._fresh().left()
        assert not left.begun
        assert [name.partition("(")[0] for name in left.again] == [
            name.partition("(")[0]
            for name, child in driver.history.children.items()
            if child.state in (State.FAILED, State.CANCELLED)
        ]
