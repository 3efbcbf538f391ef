"""Answers that are probably not good enough go on to the route's next model, in simulated time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from laneway.dispatch.ending import Stop, StopReason
from laneway.dispatch.retry import decide, or_kept
from laneway.providers.answers.complaints import ESCALATED, Complaint, shown_to
from laneway.providers.model import Account, Limits, Model, Reply
from laneway.store.budgets import Budget, BudgetKind
from laneway.task import (
    Attempt,
    Claimed,
    Failure,
    FailureClass,
    NewTask,
    Outcome,
    Route,
    Spec,
    State,
    Urgency,
    Usage,
    Wire,
)
from tests.dispatch.test_outages import counted
from tests.dispatch.world import World, in_world, task
from tests.virtual import EPOCH

CASCADE = Spec("chat", Wire.CHAT, max_attempts=2, escalate=True)
REFUSES = Failure(FailureClass.REQUEST, "context_length_exceeded", "too long", 400)
WRONG_KEY = Failure(FailureClass.ACCOUNT, "invalid_api_key", "Incorrect API key provided.", 401)
WHY = "it looks too short"


def account(name: str) -> Account:
    return Account(name, "openai", Wire.CHAT, f"http://{name}", limits=Limits(concurrency=10))


CATALOG: dict[str, Sequence[Account]] = {"small": [account("s")], "strong": [account("l")], "third": [account("t")]}


class Judge:
    """Finds every answer of some models weak."""

    def __init__(self, *weak: str) -> None:
        self.weak = weak
        self.asked: Counter[str] = Counter()

    async def __call__(self, task: Claimed, output: bytes) -> str | None:
        assert b"yes" in output
        self.asked[task.model] += 1
        return WHY if task.model in self.weak else None


def work(n: int, fallbacks: tuple[str, ...] = ("strong",), spec: Spec = CASCADE) -> list[NewTask]:
    return [task(f"t{i}", fallbacks=fallbacks, spec=spec, due=EPOCH + i) for i in range(n)]


async def ledger(world: World, key: str = "t0") -> list[Attempt]:
    return await world.store.attempts((await world.store.find_task(key)).id)


def test_a_weak_answer_goes_on_to_the_next_model_and_both_are_paid_and_told() -> None:
    judge = Judge("small")

    async def then(world: World, stop: Stop) -> None:
        assert await counted(world) == {State.SUCCEEDED: 20}
        first, second = await ledger(world)
        assert (first.model, first.outcome, second.model, second.outcome) == (
            "small",
            Outcome.ESCALATED,
            "strong",
            Outcome.OK,
        )
        assert first.error is not None
        assert (first.error["code"], first.error["message"]) == ("escalated", WHY)
        found = await world.store.find_task("t0")
        assert (found.model, found.attempts, found.error) == ("strong", 1, None)
        figures = await world.store.figures(world.run)
        assert figures.cost_usd == pytest.approx(40 * 150 / 1e6)
        assert figures.outcome_costs["escalated"] == pytest.approx(20 * 150 / 1e6)
        assert judge.asked == {"small": 20}, "nobody judges the last model's answers"
        assert all(shown == 0 for _, shown in world.provider.complaints), "a stronger model begins afresh"

    in_world(work(20), then, catalog=CATALOG, judge=judge)


def test_a_good_answer_and_a_task_without_a_further_model_end_at_once() -> None:
    judge = Judge("small")

    async def then(world: World, stop: Stop) -> None:
        assert {model for _, model, _ in world.provider.starts} == {"small"}
        assert not judge.asked

    in_world(work(5, ()), then, catalog=CATALOG, judge=judge)
    in_world(work(5, spec=Spec("chat", Wire.CHAT)), then, catalog=CATALOG, judge=judge)

    async def asked(world: World, stop: Stop) -> None:
        assert {model for _, model, _ in world.provider.starts} == {"small"}

    in_world(work(5), asked, catalog=CATALOG, judge=Judge())


def test_each_further_model_is_asked_once_at_most() -> None:
    def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.DONE
        assert Counter(model for _, model, _ in world.provider.starts) == {"small": 5, "strong": 5, "third": 5}

    in_world(work(5, ("strong", "third")), then, catalog=CATALOG, judge=Judge("small", "strong", "third"))


def test_where_the_stronger_model_fails_for_good_the_weak_answer_is_the_result() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert await counted(world) == {State.SUCCEEDED: 5}
        first, second = await ledger(world)
        assert (first.outcome, second.outcome) == (Outcome.ESCALATED, Outcome.REQUEST)
        found = await world.store.find_task("t0")
        assert (found.model, found.error) == ("small", None)
        assert b"yes" in (found.output or b"")

    in_world(
        work(5),
        then,
        catalog=CATALOG,
        judge=Judge("small"),
        fault=lambda at, model: REFUSES if model == "strong" else None,
    )


def test_the_stronger_model_has_all_its_tries_before_the_weak_answer_is_taken() -> None:
    broken = Failure(FailureClass.TRANSIENT, "cut", "the answer broke off", 200)

    async def then(world: World, stop: Stop) -> None:
        assert await counted(world) == {State.SUCCEEDED: 1}
        outcomes = [attempt.outcome for attempt in await ledger(world)]
        assert outcomes == [Outcome.ESCALATED, Outcome.TRANSIENT, Outcome.TRANSIENT]
        assert (await world.store.find_task("t0")).model == "small"

    in_world(
        work(1),
        then,
        catalog=CATALOG,
        judge=Judge("small"),
        fault=lambda at, model: broken if model == "strong" else None,
    )


@pytest.mark.parametrize("why", ["paused", "over its budget"])
def test_nobody_waits_for_a_stronger_model_that_is_away(why: str) -> None:
    """Those that went before it was known stay queued for it."""

    async def then(world: World, stop: Stop) -> None:
        states = await counted(world)
        left = states.get(State.READY, 0)
        assert states == {State.SUCCEEDED: 200 - left, **({State.READY: left} if left else {})}
        assert left <= (20 if why == "paused" else 0)

    paused = {"fault": lambda at, model: WRONG_KEY if model == "strong" else None}
    over = {"budgets": {Budget(BudgetKind.ACCOUNT, "l"): 0.0}}
    more = paused if why == "paused" else over
    in_world(work(200), then, catalog=CATALOG, judge=Judge("small"), **more)


def test_when_the_time_is_up_the_answer_that_is_there_is_taken() -> None:
    async def then(world: World, stop: Stop) -> None:
        assert await counted(world) == {State.SUCCEEDED: 5}
        assert [(line.model, line.outcome) for line in await ledger(world)] == [("small", Outcome.OK)]

    spec = CASCADE._replace(time_limit=0.3)
    in_world(work(5, spec=spec), then, catalog=CATALOG, judge=Judge("small"))


# policy, by itself ----------------------------------------------------------------------------------------------------
STRONG = Model("strong", "strong", (), 1.0, 1.0)


def claimed(model: str, complaint: str | None) -> Claimed:
    route = Route("general", Urgency.STANDARD, "small", ("strong",))
    ids = {"id": 1, "run_id": 1, "cell_id": 1, "fence": 1, "attempts": 0, "refusals": 0, "losses": 0, "key": "a"}
    times = {"submitted_at": 0.0, "claimed_at": 0.0, "begun_at": 0.0, "deadline": None}
    place = {"lane": "general", "urgency": Urgency.STANDARD, "account": "main", "route": route, "spec": CASCADE}
    size = {"body": b"{}", "input_tokens": 1, "output_tokens": 1}
    return Claimed(model=model, complaint=complaint, **ids, **times, **place, **size)  # type: ignore[arg-type]


def test_the_weak_answer_outlives_complaints_about_the_stronger_models() -> None:
    import random

    kept = Complaint.of_weak("small", WHY, b'{"a":1}').to_text()
    unusable = Reply(None, Usage(1, 1), Failure(FailureClass.OUTPUT, "not_json", "no JSON"), 0.1, answer="hm")
    rng = random.Random(0)
    again = decide(claimed("strong", kept), unusable, STRONG, now=1.0, rng=rng)
    assert again.state is State.READY
    assert again.complaint is not None
    second = claimed("strong", again.complaint)
    second.attempts = 1
    shown = shown_to(Complaint.from_text(second.complaint), "strong")
    assert shown is not None
    assert shown.answer == "hm"
    last = or_kept(second, decide(second, unusable, STRONG, now=1.0, rng=rng))
    assert (last.state, last.output, last.model) == (State.SUCCEEDED, b'{"a":1}', "small")
    assert last.failure is not None, "the ledger says how the last call went"


def test_nobody_is_told_of_an_answer_that_was_put_aside() -> None:
    kept = Complaint.from_text(Complaint.of_weak("small", WHY, b"{}").to_text())
    assert kept is not None
    assert kept.code == ESCALATED
    assert shown_to(kept, "strong") is None
    assert shown_to(kept, "small") is None, "set back by hand"
