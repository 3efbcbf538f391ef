"""What workers count, and how it reaches the store."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest

from laneway.dispatch.ending import Stop
from laneway.dispatch.tallying import Tallies
from laneway.dispatch.telling import Telling
from laneway.errors import StoreError
from laneway.providers.model import Limits
from laneway.store.tallies import HOUR_S, Tally, TallyKind, bucket
from laneway.task import (
    CLASSIFY,
    FLOW,
    Attempt,
    Claimed,
    Failure,
    FailureClass,
    Outcome,
    Settlement,
    State,
    Urgency,
    Usage,
)
from tests.dispatch.world import DOWN, World, in_world, task
from tests.store.helpers import NOW, ROUTE, SPEC

BAD = Failure(FailureClass.REQUEST, "bad_request", "never", 400)
DONE = Settlement(1, 1, State.SUCCEEDED, Outcome.OK, NOW, 1.5, Usage(90, 40), cost=0.01)
AGAIN = replace(DONE, state=State.WAITING, outcome=Outcome.RATE_LIMITED, usage=None, cost=0.0)


def claimed(**more: Any) -> Claimed:
    fields: dict[str, Any] = {
        "id": 1, "run_id": 1, "cell_id": 1, "fence": 1, "attempts": 0, "refusals": 0, "losses": 0, "key": "k",
        "model": "small", "lane": "general", "urgency": Urgency.STANDARD, "account": "main", "route": ROUTE,
        "spec": SPEC, "body": b"{}", "input_tokens": 1, "output_tokens": 1, "submitted_at": NOW - 5,
        "claimed_at": NOW, "begun_at": NOW, "deadline": None, "complaint": None,
    }  # fmt: skip
    made = Claimed(**{**fields, **more})
    return dataclasses.replace(made, cell_id=hash((made.team, made.lane, made.model)))  # a cell has one of each


def counted(*added: tuple[Claimed, Settlement]) -> dict[tuple[str, str], Tally]:
    tallies = Tallies()
    tallies.add(added)
    found = {(one.kind.value, one.name): one for one in tallies.take(NOW + 0.9)}
    assert tallies.take(NOW) == [], "they were taken"
    return found


class TestCounting:
    def test_a_task_counts_for_all_that_it_belongs_to(self) -> None:
        found = counted((claimed(team="red"), DONE), (claimed(), DONE), (claimed(lane="special"), DONE))
        assert set(found) == {
            ("all", ""),
            ("lane", "general"),
            ("lane", "special"),
            ("type", "chat"),
            ("model", "small"),
            ("account", "main"),
        }
        assert found["type", "chat"] == Tally(
            int(NOW), None, TallyKind.TYPE, "chat", 2, 0, 0, 2, 0, 0, 180, 80, 0.02,
            {bucket(5): 2}, {bucket(1.5): 2},
        )  # fmt: skip
        tallies = Tallies()
        tallies.add([(claimed(team="red"), DONE)])
        assert {one.team for one in tallies.take(NOW)} == {"red"}

    def test_a_call_that_is_tried_again_is_a_call_and_no_end(self) -> None:
        later = claimed(fence=2, refusals=1)
        found = counted((claimed(), AGAIN), (later, DONE))["all", ""]
        assert (found.ended, found.calls, found.retries, found.rate_limited) == (1, 2, 1, 1)
        assert sum(found.run.values()) == sum(found.wait.values()) == 1

    def test_what_was_put_back_was_no_call(self) -> None:
        back = replace(DONE, state=State.READY, outcome=Outcome.CANCELLED, latency=0.0, usage=None, cost=0.0)
        assert counted((claimed(), back))["all", ""].calls == 0

    def test_a_task_waits_once_for_its_first_call_whatever_comes_later(self) -> None:
        found = counted((claimed(fence=3), DONE))["all", ""]
        assert (found.succeeded, sum(found.wait.values()), sum(found.run.values())) == (1, 0, 1)

    def test_a_task_ends_with_the_model_whose_answer_it_has(self) -> None:
        kept = replace(DONE, model="cheap", outcome=Outcome.TRANSIENT)
        found = counted((claimed(model="strong"), kept))
        assert (found["model", "cheap"].succeeded, found["model", "cheap"].calls) == (1, 0)
        assert (found["model", "strong"].succeeded, found["model", "strong"].calls) == (0, 1)
        assert found["all", ""].succeeded == 1

    def test_triages_questions_cost_and_are_no_tasks(self) -> None:
        found = counted((claimed(spec=SPEC._replace(type=CLASSIFY)), DONE))
        assert (found["all", ""].ended, found["all", ""].cost, found["all", ""].wait) == (0, 0.01, {})
        assert found["type", CLASSIFY].ended == 1

    def test_flows_and_functions_have_no_model_of_their_own(self) -> None:
        step = replace(DONE, state=State.WAITING, usage=None, cost=None)
        found = counted(
            (claimed(model=FLOW, account=""), step),
            (claimed(model=FLOW, account=""), replace(DONE, usage=None, cost=None)),
            (claimed(model="", account=""), replace(DONE, state=State.FAILED, outcome=Outcome.CODE)),
        )
        assert set(found) == {("all", ""), ("lane", "general"), ("type", "chat")}
        assert (found["all", ""].succeeded, found["all", ""].failed, found["all", ""].calls) == (1, 1, 0)

    def test_calls_that_a_running_task_makes_count_for_their_models(self) -> None:
        tallies = Tallies()
        call = Attempt(
            1, 1, 2001, "strong", "other", NOW, None, Outcome.RATE_LIMITED, 1.0, Usage(5, 6), 1, 1, 0.5, None
        )
        tallies.add_call(claimed(model="", account=""), call)
        found = {(one.kind.value, one.name): one for one in tallies.take(NOW)}
        assert (found["account", "other"].calls, found["model", "strong"].cost) == (1, 0.5)
        assert (found["all", ""].retries, found["all", ""].rate_limited, found["all", ""].ended) == (1, 1, 0)


class TestTelling:
    def test_the_store_hears_of_all_that_the_loop_did(self) -> None:
        def fault(at: float, model: str) -> Failure | None:
            return BAD if int(at * 10) % 4 == 0 else DOWN if int(at * 10) % 7 == 0 else None

        async def then(world: World, stop: Stop) -> None:
            telling = Telling(world.store, "w", world.clock, world.desks, world.dispatcher)
            await telling.tell()
            now = world.clock.now()
            (found,) = await world.store.tallies(TallyKind.ALL, 0, now + 1, span=HOUR_S, whole=True)
            (cell,) = await world.store.tally(world.run.id)
            assert found.succeeded == cell.counts[State.SUCCEEDED]
            assert found.failed == cell.counts[State.FAILED] > 0
            figures = await world.store.figures(world.run)
            assert (found.calls, found.retries, found.rate_limited) == (
                figures.calls, figures.retries, figures.rate_limited,
            )  # fmt: skip
            assert found.input_tokens == figures.input_tokens
            assert found.cost == pytest.approx(figures.cost_usd)
            assert sum(found.run.values()) == sum(found.wait.values()) == 200

        in_world([task(str(i)) for i in range(200)], then, fault=fault)

    def test_a_worker_says_what_it_uses(self) -> None:
        async def then(world: World, stop: Stop) -> None:
            await Telling(world.store, "w", world.clock, world.desks, world.dispatcher).tell()
            ((said, _),) = (await world.store.states("worker:")).values()
            assert (said["most"], said["draining"], set(said["accounts"])) == (10, True, {"main"})
            assert said["accounts"]["main"] == {"in_flight": 0, "use": {"concurrency": 0.0}}

        in_world([task(str(i)) for i in range(20)], then, limits=Limits(concurrency=10))

    def test_figures_wait_for_a_store_that_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def then(world: World, stop: Stop) -> None:
            telling = Telling(world.store, "w", world.clock, world.desks, world.dispatcher)
            with monkeypatch.context() as patch:

                async def away(*_: object) -> None:
                    raise StoreError("away")

                patch.setattr(world.store, "add_tallies", away)
                await telling.tell()
                world.dispatcher.tallies.add([(claimed(), DONE)])
                await telling.tell()
            await telling.tell(last=True)
            await telling.tell(last=True)
            (found,) = await world.store.tallies(TallyKind.ALL, 0, 2**40, span=HOUR_S, whole=True)
            assert found.succeeded == 21

        in_world([task(str(i)) for i in range(20)], then)
