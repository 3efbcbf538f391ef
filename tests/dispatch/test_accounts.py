"""Several accounts for one model: whose turn it is, and what becomes of the work when one of them ails."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.dispatch.choice import HALF_LIFE_S, Choice, Health
from laneway.dispatch.desk import Admission, Desk
from laneway.dispatch.ending import Stop, StopReason
from laneway.dispatch.limits import Size
from laneway.providers.model import Account, Limits
from laneway.task import Failure, FailureClass, State, Wire
from tests.dispatch.world import DOWN, World, in_world, task

HANGS = Failure(FailureClass.TRANSIENT, "timeout", "no answer within 60 s", outage=True)
GONE = Failure(FailureClass.TRANSIENT, "connection", "nothing listens", outage=True)
REVOKED = Failure(FailureClass.ACCOUNT, "invalid_api_key", "the key was revoked", 401)


def account(name: str, weight: float = 1.0, concurrency: int | None = 100) -> Account:
    url = f"http://{name}"
    return Account(name, "openai", Wire.CHAT, url, limits=Limits(concurrency=concurrency), weight=weight)


def tasks(n: int) -> list[object]:
    return [task(f"t{i}", due=1_700_000_000.0 + i) for i in range(n)]


def calls(world: World, since: float = 0.0, until: float = 1e9) -> Counter[str]:
    return Counter(name for at, name in world.provider.accounts if since <= at < until)


@pytest.mark.parametrize("max_in_flight", [1, 2, 7, 60])
def test_calls_are_shared_by_weight_however_many_there_are_at_once(max_in_flight: int) -> None:
    def then(world: World, stop: Stop) -> None:
        shares = calls(world)
        assert shares["heavy"] == pytest.approx(300, abs=8)
        assert shares["light"] == pytest.approx(100, abs=8)

    accounts = [account("light"), account("heavy", weight=3)]
    in_world(tasks(400), then, accounts=accounts, max_in_flight=max_in_flight)  # type: ignore[arg-type]


def test_what_one_account_cannot_take_the_others_do() -> None:
    def then(world: World, stop: Stop) -> None:
        assert world.seconds == pytest.approx(400 / (4 + 36) * 0.3, rel=0.1), "all slots of both were in use"

    in_world(tasks(400), then, accounts=[account("a", concurrency=4), account("b", concurrency=36)])  # type: ignore[arg-type]


def test_a_paused_account_s_work_goes_to_the_others() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert calls(world, since=1.0)["revoked"] == 0
        counts = [cell.counts for cell in await world.store.tally(world.run.id)]
        assert sum(one.get(State.SUCCEEDED, 0) for one in counts) == 200

    in_world(
        tasks(200),  # type: ignore[arg-type]
        then,
        accounts=[account("revoked", concurrency=10), account("sound", concurrency=10)],
        account_fault=lambda at, name: REVOKED if name == "revoked" else None,
    )


def test_a_run_stops_when_all_are_paused() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.ACCOUNT
        assert "account a is paused: the key was revoked; account b is paused" in stop.message

    in_world(tasks(50), then, accounts=[account("a"), account("b")], account_fault=lambda at, name: REVOKED)  # type: ignore[arg-type]


def test_a_run_stops_when_one_is_paused_and_the_other_does_not_answer() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.UNREACHABLE
        assert "account down (http://down) does not answer: it is down" in stop.message
        assert "account revoked is paused" in stop.message

    in_world(
        tasks(50),  # type: ignore[arg-type]
        then,
        accounts=[account("down"), account("revoked")],
        account_fault=lambda at, name: REVOKED if name == "revoked" else DOWN,
    )


def test_an_account_that_is_down_is_looked_at_now_and_then_and_used_again_when_it_is_back() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert calls(world, until=10)["ill"] == pytest.approx(calls(world, until=10)["sound"], rel=0.1)
        ill = calls(world, since=15, until=60)
        assert 1 <= ill["ill"] <= 0.06 * ill["sound"]
        after = calls(world, since=150, until=200)
        assert after["ill"] == pytest.approx(after["sound"], rel=0.15)

    in_world(
        tasks(7000),  # type: ignore[arg-type]
        then,
        accounts=[account("ill", concurrency=10), account("sound", concurrency=10)],
        account_fault=lambda at, name: DOWN if name == "ill" and 10 <= at < 60 else None,
    )


@pytest.mark.parametrize("dies", [1.1, 1.5, 1.9, 2.3])
def test_an_account_that_dies_holds_up_no_task_while_another_is_there(dies: float) -> None:
    """Neither those that were in flight nor those by which somebody looks whether it is back."""

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        left = 400 - sum(at + 0.3 < dies for at, _ in world.provider.accounts)
        assert world.seconds < dies + left / (10 / 0.3) + 0.5

    def gone(at: float, name: str) -> bool:
        return name == "dies" and at + 0.3 >= dies

    in_world(
        tasks(400),  # type: ignore[arg-type]
        then,
        accounts=[account("dies", concurrency=10), account("sound", concurrency=10)],
        account_fault=lambda at, name: GONE if gone(at, name) else None,
        account_latency=lambda at, name: max(0.001, dies - at) if gone(at, name) else None,
    )


def test_an_account_that_hangs_holds_no_more_than_its_part_of_what_is_in_flight() -> None:
    """Its calls time out after a minute; the other's take 0.3 s. A choice by turns alone would put half of all calls
    into the hanging one until nothing else was left."""

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert calls(world, until=50)["hangs"] <= 12
        assert calls(world, until=20)["sound"] >= 0.9 * 20 * 10 / 0.3

    in_world(
        tasks(1500),  # type: ignore[arg-type]
        then,
        accounts=[account("hangs"), account("sound", concurrency=10)],
        max_in_flight=20,
        account_fault=lambda at, name: HANGS if name == "hangs" else None,
        account_latency=lambda at, name: 60.0 if name == "hangs" else None,
    )


def test_a_far_slower_account_gets_less_even_when_there_is_little_to_do() -> None:
    def then(world: World, stop: Stop) -> None:
        late = calls(world, since=60)
        assert late["slow"] < 0.25 * late["quick"]

    in_world(
        tasks(300),  # type: ignore[arg-type]
        then,
        accounts=[account("slow"), account("quick")],
        max_in_flight=1,
        account_latency=lambda at, name: 3.0 if name == "slow" else None,
    )


def test_an_account_that_often_fails_gets_less() -> None:
    """It answers half of its calls, so that its breaker never opens."""
    fails = iter(range(10_000))

    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert calls(world)["ailing"] == pytest.approx(0.55 * calls(world)["sound"], rel=0.2)

    in_world(
        tasks(600),  # type: ignore[arg-type]
        then,
        accounts=[account("ailing"), account("sound")],
        max_in_flight=8,
        account_fault=lambda at, name: DOWN if name == "ailing" and next(fails) % 2 else None,
    )


def test_an_account_that_was_away_does_not_make_up_for_it() -> None:
    choice = Choice()
    desks = [Desk(account(name), 0.0, random.Random(1)) for name in "ab"]

    def start() -> str:
        order = choice.order("m", desks, 0.0)
        for at, (desk, _part) in enumerate(order):
            admission = desk.admit(Size(), 0.0)
            if isinstance(admission, Admission):
                choice.started("m", order, at)
                desk.release(admission, 0.0)
                return desk.name
        raise AssertionError("none admits")

    desks[0].paused = "away"
    assert {start() for _ in range(50)} == {"b"}
    desks[0].paused = None
    assert Counter(start() for _ in range(20))["a"] in (10, 11)


@given(st.lists(st.floats(0.2, 8), min_size=2, max_size=4), st.integers(0, 2**32))
def test_no_account_is_ahead_of_its_part_whatever_comes_and_goes(weights: list[float], seed: int) -> None:
    rng = random.Random(seed)
    choice = Choice()
    desks = [Desk(account(str(i), weight), 0.0, rng) for i, weight in enumerate(weights)]
    open_calls: list[Admission] = []
    for _ in range(200):
        if open_calls and rng.random() < 0.45:
            done = open_calls.pop(rng.randrange(len(open_calls)))
            done.desk.release(done, 0.0)
            continue
        order = choice.order("m", desks, 0.0)
        for at, (desk, _part) in enumerate(order):
            admission = desk.admit(Size(), 0.0)
            if isinstance(admission, Admission):
                choice.started("m", order, at)
                open_calls.append(admission)
                break
        first = order[0].desk
        total = sum(desk.in_flight for desk in desks)
        if first.in_flight < 100:
            assert first.in_flight <= first.account.weight / sum(weights) * total + 1


def test_health_fades() -> None:
    health = Health()
    assert health.failing(0.0) == 0.0
    for _ in range(20):
        health.failed(10.0)
    assert health.failing(10.0) > 0.8
    assert health.failing(10.0 + 2 * HALF_LIFE_S) == pytest.approx(health.failing(10.0) / 4)
    assert health.latency is None
    for _ in range(10):
        health.answered(2.0, 11.0)
    assert health.failing(11.0) < 0.4
    assert health.latency == pytest.approx(2.0)


def test_an_account_that_was_paused_is_looked_at_every_five_minutes_by_one_call() -> None:
    """A worker goes on without a word when the key was put right."""

    async def then(world: World, stop: Stop) -> None:
        looks = [at for at, name in world.provider.accounts if name == "a"]
        assert len([at for at in looks if at < 1]) == 5
        assert [round(at / 300) for at in looks if 1 <= at < 850] == [1, 2]
        assert sum(at >= 850 for at in looks) == 50

    async def drain(world: World) -> None:
        await asyncio.sleep(1000)
        world.dispatcher.drain()

    in_world(
        tasks(50),  # type: ignore[arg-type]
        then,
        accounts=[account("a", concurrency=5)],
        account_fault=lambda at, name: REVOKED if at < 850 else None,
        whole_store=True,
        meanwhile=drain,
    )


def test_health_is_kept_over_a_restart_and_fades_meanwhile() -> None:
    before = Health()
    for _ in range(30):
        before.failed(100.0)
        before.answered(2.0, 100.0)
    after = Health()
    after.restore(before.state(100.0), HALF_LIFE_S, 200.0)
    assert after.failing(200.0) == pytest.approx(before.failing(100.0) / 2, abs=0.001)
    assert after.latency == pytest.approx(2.0, abs=0.01)


def test_what_another_worker_saw_counts_until_enough_was_seen_here() -> None:
    seasoned, newcomer, other = Health(), Health(), Health()
    for _ in range(20):
        seasoned.answered(0.3, 100.0)
        other.answered(2.0, 100.0)
    newcomer.answered(5.0, 100.0)
    newcomer.hear(seasoned.state(100.0), 101.0)
    assert newcomer.latency == pytest.approx(0.3)
    newcomer.hear(other.state(100.0), 102.0)
    assert newcomer.latency == pytest.approx(0.3)
    assert other.latency == pytest.approx(2.0)
