"""One set of limits for several workers: what they do together, by a provider's own count."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from laneway.dispatch.desk import Admission, Desk
from laneway.dispatch.heart import LEASE_S
from laneway.dispatch.limits import Size
from laneway.providers.model import Limits, Reply
from laneway.simulator.options import Options
from laneway.task import Failure, FailureClass, Outcome, State, Urgency
from tests.dispatch.fleet import Fleet, in_fleet
from tests.dispatch.practice import account, prompt

RATE = 20.0  # a second


def on_a_rate(live: Callable[[Fleet], Awaitable[object]]) -> None:
    limited = account(limits=Limits(requests_per_minute=60 * RATE))
    in_fleet(live, options=Options(latency=1.0, rpm=60 * RATE), accounts=[limited])


def names(n: int) -> list[str]:
    return [f"w{number}" for number in range(n)]


@pytest.mark.parametrize("n", [1, 2, 4, 7])
def test_a_fleet_uses_a_rate_whole_and_never_more(n: int) -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(1200)])
        for name in names(n):
            await fleet.join(name)
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.rate(5, 55) >= 0.97 * RATE
        assert fleet.seconds <= 1200 / RATE / 0.95 + 1
        parts = [fleet.rate(10, 50, name) for name in names(n)]
        assert min(parts) > 0.7 * max(parts)

    on_a_rate(live)


def test_a_dead_workers_share_is_used_again_and_its_tasks_are_done_elsewhere() -> None:
    async def live(fleet: Fleet) -> None:
        run = await fleet.submit([prompt(str(i)) for i in range(1200)])
        for name in names(4):
            await fleet.join(name)
        await asyncio.sleep(20)
        held = {call.key for call in fleet.workers["w1"].calls if call.ended_at is None}
        fleet.kill("w1")
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.rate(20 + 1.5 * LEASE_S, 50) >= 0.97 * RATE
        again = [call.at for one in fleet.all for call in one.calls if call.key in held and call.at > 20]
        assert len(again) == len(held)
        assert max(again) <= 20 + 1.5 * LEASE_S
        assert await fleet.states() == {State.SUCCEEDED: 1200}
        assert sum(len(one.calls) for one in fleet.all) == 1200 + len(held)
        assert (await fleet.store.get_run(run.id)).spent > 0

    on_a_rate(live)


def test_workers_may_come_and_go() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(2000)])
        await fleet.join("w0")
        for number in range(1, 8):
            await asyncio.sleep(6)
            await fleet.join(f"w{number}")
            if number % 2:
                await asyncio.sleep(5)
                await fleet.leave(f"w{number - 1}")
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.rate(2, 95) >= 0.95 * RATE

    on_a_rate(live)


def test_a_worker_that_comes_late_has_its_part_soon() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(800)])
        await fleet.join("old")
        await asyncio.sleep(10)
        await fleet.join("new")
        await fleet.done()
        assert fleet.rate(15, 38, "new") == pytest.approx(RATE / 2, rel=0.15)
        assert fleet.refused == 0

    on_a_rate(live)


def test_urgent_work_of_one_process_goes_before_bulk_work_of_another() -> None:
    async def live(fleet: Fleet) -> None:
        bulk = await fleet.submit([prompt(f"b{i}") for i in range(1000)], "bulk")
        await fleet.join("bulk", bulk.id)
        await asyncio.sleep(10)
        urgent = await fleet.submit([prompt(f"u{i}", Urgency.URGENT) for i in range(200)], "urgent")
        late = await fleet.join("late", urgent.id)
        assert late.running is not None
        await late.running
        took = fleet.seconds - 10
        assert took <= 200 / RATE / 0.95 + 4
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.rate(25, 55) >= 0.95 * RATE

    on_a_rate(live)


@pytest.mark.parametrize("n", [2, 3, 5, 14])
def test_slots_are_shared_too_and_rotate_where_there_are_fewer_than_workers(n: int) -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(700)])
        for name in names(n):
            await fleet.join(name)
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.side.provider.books.as_json(fleet.seconds)["max_in_flight"] <= 10
        assert fleet.rate(10, 60) >= 0.9 * 10

    limited = account(limits=Limits(concurrency=10))
    in_fleet(live, options=Options(latency=1.0, concurrency=10), accounts=[limited])


def test_a_lane_has_its_concurrency_in_the_whole_fleet() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i), lane="legal") for i in range(200)])
        for name in names(3):
            await fleet.join(name)
        await fleet.done()
        assert fleet.side.provider.books.as_json(fleet.seconds)["max_in_flight"] <= 5
        assert fleet.rate(10, 35) >= 0.9 * 5

    in_fleet(live, options=Options(latency=1.0), accounts=[account(limits=Limits(concurrency=50))], lanes={"legal": 5})


def test_tokens_are_shared_without_a_refusal() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i), input_tokens=300, max_tokens=50) for i in range(600)])
        for name in names(3):
            await fleet.join(name)
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.rate(10, 55) >= 0.9 * 10

    limited = account(limits=Limits(tokens_per_minute=210_000))
    in_fleet(live, options=Options(latency=1.0, tpm=210_000, output_tokens=50), accounts=[limited])


def test_calls_too_large_for_a_workers_part_go_one_at_a_time() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i), input_tokens=3000, max_tokens=50) for i in range(60)])
        for name in names(4):
            await fleet.join(name)
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.seconds <= 60 * 3050 / (120_000 / 60) * 1.15

    limited = account(limits=Limits(tokens_per_minute=120_000))
    in_fleet(live, options=Options(latency=1.0, tpm=120_000, burst=1, output_tokens=50), accounts=[limited])


def test_a_days_requests_are_counted_over_all_workers() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(400)])
        for name in names(3):
            await fleet.join(name)
        await asyncio.sleep(30)
        assert 285 <= sum(len(one.calls) for one in fleet.all) <= 302
        await fleet.join("late")
        await asyncio.sleep(30)
        assert sum(len(one.calls) for one in fleet.all) <= 302

    limited = account(limits=Limits(requests_per_day=300, requests_per_minute=60 * RATE))
    in_fleet(live, options=Options(latency=1.0), accounts=[limited])


@pytest.mark.parametrize("hidden", [{"rpm": 1200}, {"concurrency": 20}, {"rpm": 600, "burst": 5}, {"concurrency": 6}])
def test_limits_that_nobody_states_are_found_by_one_for_all(hidden: dict[str, int]) -> None:
    most = min(hidden.get("rpm", 6000) / 60, hidden.get("concurrency", 100))

    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(int(most * 80))])
        for name in names(4):
            await fleet.join(name)
        await fleet.done()
        assert fleet.rate(20, 75) >= 0.85 * most
        assert fleet.refused <= 15

    in_fleet(live, options=Options(latency=1.0, no_headers=True, **hidden), accounts=[account()])  # type: ignore[arg-type]


@pytest.mark.parametrize("late", [0.0, 0.3, 1.0, 1.9])
def test_who_has_no_part_yet_hears_how_long_calls_take(late: float) -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(600)])
        await fleet.join("w0")
        await asyncio.sleep(late)
        await fleet.join("w1")
        await fleet.done()
        parts = [fleet.rate(8, 25, name) for name in ("w0", "w1")]
        assert min(parts) >= 0.9 * max(parts)

    limited = account(limits=Limits(concurrency=4))
    in_fleet(live, options=Options(latency=0.2, no_headers=True), accounts=[limited])


def test_what_headers_tell_one_is_known_to_all() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(1200)])
        for name in names(4):
            await fleet.join(name)
        await fleet.done()
        assert fleet.refused == 0
        assert fleet.rate(10, 55) >= 0.95 * RATE
        parts = [fleet.rate(15, 50, name) for name in names(4)]
        assert min(parts) > 0.5 * max(parts)

    in_fleet(live, options=Options(latency=1.0, rpm=60 * RATE), accounts=[account()])


def test_a_provider_that_refuses_nothing_is_used_by_all() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(4000)])
        for name in names(3):
            await fleet.join(name)
        await fleet.done()
        assert fleet.refused == 0
        assert min(len(one.calls) for one in fleet.all) > 4000 / 12

    in_fleet(live, options=Options(latency=2.0, no_headers=True), accounts=[account()])


def test_urgent_calls_get_an_account_of_which_nothing_is_known() -> None:
    async def live(fleet: Fleet) -> None:
        bulk = await fleet.submit([prompt(f"b{i}") for i in range(600)], "bulk")
        await fleet.join("bulk", bulk.id)
        await asyncio.sleep(20)
        urgent = await fleet.submit([prompt(f"u{i}", Urgency.URGENT) for i in range(50)], "urgent")
        late = await fleet.join("late", urgent.id)
        assert late.running is not None
        await late.running
        assert fleet.seconds - 20 <= 25
        await fleet.done()

    in_fleet(live, options=Options(latency=1.0, concurrency=6, no_headers=True), accounts=[account()])


def test_a_failure_of_the_account_pauses_it_for_all_until_somebody_is_answered() -> None:
    one, other = (Desk(account(), 0.0, random.Random(1)) for _ in range(2))
    size = Size(100, 50, 50)

    def call(desk: Desk, failure: Failure | None, now: float) -> None:
        admission = desk.admit(size, now)
        assert isinstance(admission, Admission)
        desk.settle(admission, Reply(None, None, failure, 1.0), now + 1)

    call(other, None, 5.0)
    call(one, Failure(FailureClass.ACCOUNT, "insufficient_quota", "no credit", 429), 10.0)
    other.hear(one.state(12.0), 12.0)
    assert other.paused == "no credit"
    one.forgive(20.0)
    one.hear(other.state(21.0), 21.0)
    assert one.paused is None, "what was before says nothing any more"
    call(one, None, 22.0)
    other.hear(one.state(24.0), 24.0)
    assert other.paused is None


def test_an_outage_that_one_sees_is_known_to_all_within_a_heartbeat() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(1500)])
        for name in names(4):
            await fleet.join(name)
        await asyncio.sleep(10)
        fleet.side.unplug()
        await asyncio.sleep(10)
        down = [one.desks.desk("main").breaker.open_since for one in fleet.all]
        assert None not in down
        fleet.side.plug_in()
        await asyncio.sleep(10)
        assert all(one.desks.desk("main").breaker.closed for one in fleet.all)
        await fleet.done()
        assert fleet.rate(24, 60) >= 0.95 * RATE
        assert fleet.refused == 0

    on_a_rate(live)


def test_a_worker_that_is_cut_off_starts_nothing_after_its_lease_and_keeps_its_answers() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(900)])
        for name in names(3):
            await fleet.join(name)
        await asyncio.sleep(10.5)
        lost = fleet.workers["w1"]
        held = {call.key for call in lost.calls if call.ended_at is None}
        lost.line.cut = True
        await asyncio.sleep(20)
        assert max(call.at for call in lost.calls) <= 10.5 + LEASE_S
        lost.line.cut = False
        await fleet.done()
        assert fleet.rate(10.5 + 1.5 * LEASE_S, 29) >= 0.95 * RATE
        assert fleet.rate(35, 45, "w1") >= 0.9 * RATE / 3
        assert fleet.refused == 0
        assert await fleet.states() == {State.SUCCEEDED: 900}
        assert sum(len(one.calls) for one in fleet.all) <= 900 + len(held)

    on_a_rate(live)


def test_a_short_cut_costs_nothing() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(600)])
        for name in names(3):
            await fleet.join(name)
        await asyncio.sleep(10.5)
        for one in fleet.all:
            one.line.cut = True
        await asyncio.sleep(5)
        for one in fleet.all:
            one.line.cut = False
        await fleet.done()
        assert sum(len(one.calls) for one in fleet.all) == 600
        assert await fleet.states() == {State.SUCCEEDED: 600}

    on_a_rate(live)


def test_after_an_outage_of_the_store_nobody_is_taken_for_dead_who_comes_back_too() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(600)])
        for name in names(4):
            await fleet.join(name)
        await asyncio.sleep(10.5)
        for one in fleet.all:
            one.line.cut = True
        await asyncio.sleep(30)
        fleet.all[0].line.cut = False
        await asyncio.sleep(5)
        for one in fleet.all:
            one.line.cut = False
        await fleet.done()
        assert sum(len(one.calls) for one in fleet.all) == 600
        assert fleet.refused == 0

    on_a_rate(live)


def test_what_a_claim_brings_after_the_lease_is_put_back_unpaid() -> None:
    async def live(fleet: Fleet) -> None:
        await fleet.submit([prompt(str(i)) for i in range(100)])
        one = await fleet.join("w0")
        await asyncio.sleep(1)
        line, claim = one.line, one.store.claim
        slow = asyncio.Event()

        async def late(*given: Any) -> Any:
            claimed = await claim(*given)
            if not slow.is_set():
                slow.set()
                line.cut = True
                await asyncio.sleep(LEASE_S + 1)
                line.cut = False
            return claimed

        line.claim = late  # type: ignore[attr-defined]
        await fleet.done()
        assert await fleet.states() == {State.SUCCEEDED: 100}
        assert len(one.calls) == 100
        tasks = [task for _, task in await fleet.store.ended_after(0, 1000)]
        attempts = [attempt for task in tasks for attempt in await fleet.store.attempts(task)]
        back = [attempt for attempt in attempts if attempt.outcome is Outcome.CANCELLED]
        assert back
        assert sum(attempt.cost or 0.0 for attempt in back) == 0.0

    on_a_rate(live)
