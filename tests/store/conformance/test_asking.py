"""What every store promises of questions to triage's classifier."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from laneway.store.asking import AskedFigures, Judged, Ruling
from laneway.store.interface import Store
from laneway.store.runs import Run
from laneway.store.steering import Change, Selector
from laneway.task import NewTask, Route, Spec, State, Urgency, WaitReason, Wire
from tests.store.helpers import LEASE, NOW, ROUTE, claim, counts, finish, new, open_run, sound

WITHIN = 20.0
FOUND = Route("legal", Urgency.URGENT, "strong", category="fraud", reasons={"category": "the classifier small"})
DIGEST = b"0123456789abcdef"


def question(key: str = "q1") -> NewTask:
    route = Route("triage", Urgency.STANDARD, "small")
    return new(f"laneway.classify {key}", "{ask}", spec=Spec("laneway.classify", Wire.CHAT), route=route)


def asking(key: str, **more: Any) -> NewTask:
    return new(key, verdict_within=WITHIN, **more)


async def ask(store: Store, run: Run, *tasks: NewTask, held: bool = False, now: float = NOW) -> tuple[list[int], int]:
    """Ids of the tasks, and that of one question about those that wait."""
    done = await store.submit(run, tasks, now, held=held)
    (id_,) = await store.ask(
        run, [question(f"{done.ids[0]} {now}")], [[done.ids[i] for i in done.waiting]], now, held=held
    )
    return done.ids, id_


async def states(store: Store, ids: list[int]) -> list[tuple[State, WaitReason | None]]:
    return [(task.state, task.wait_reason) for task in await store.get_tasks(ids)]


class TestWaitingForAVerdict:
    async def test_a_task_waits_while_its_question_runs_and_goes_where_the_answer_says(self, store: Store) -> None:
        run = await open_run(store)
        (a, b), asked_in = await ask(store, run, asking("a"), asking("b"))
        assert await states(store, [a, b]) == [(State.WAITING, WaitReason.TRIAGE)] * 2
        await store.join("w", LEASE, NOW)
        (claimed,) = await claim(store)
        assert (claimed.id, claimed.lane, claimed.spec.type) == (asked_in, "triage", "laneway.classify")
        assert await store.waiting_for(asked_in) == [a, b]
        rulings = [Ruling(a, FOUND, NOW + 5, {"category": "fraud"}, DIGEST), Ruling(b, None, 0.0, {}, b"other")]
        assert await store.hear(asked_in, rulings, NOW + 1) == 2
        assert await store.waiting_for(asked_in) == []
        (task,) = await store.get_tasks([a])
        assert (task.state, task.lane, task.urgency, task.model) == (State.READY, "legal", Urgency.URGENT, "strong")
        assert (task.route, task.due_at, task.wake_at) == (FOUND, NOW + 5, None)
        (other,) = await store.get_tasks([b])
        assert (other.state, other.route) == (State.READY, ROUTE), "it would not say: the safe route"
        await finish(store, [claimed])
        assert {one.id for one in await claim(store, now=NOW + 1)} == {a, b}
        await sound(store)

    async def test_what_was_said_is_kept_for_the_same_text(self, store: Store) -> None:
        run = await open_run(store)
        (a, b), asked_in = await ask(store, run, asking("a"), asking("b"))
        assert await store.verdicts([DIGEST]) == {}
        said = {"category": "fraud"}
        await store.hear(asked_in, [Ruling(a, FOUND, NOW, said, DIGEST), Ruling(b, None, 0, None, b"never")], NOW + 1)
        assert await store.verdicts([DIGEST, b"never", b"else"]) == {DIGEST: said}
        await store.hear(asked_in, [Ruling(a, None, 0.0, {"category": "press"}, DIGEST)], NOW + 2)
        assert await store.verdicts([DIGEST]) == {DIGEST: {"category": "press"}}
        (told,) = await store.questions(a)
        assert (told.asked_in, told.at, told.answered_at, told.said) == (asked_in, NOW, NOW + 2, {"category": "press"})
        (untold,) = await store.questions(b)
        assert (untold.answered_at, untold.said) == (NOW + 1, None)

    async def test_no_verdict_in_time_means_the_safe_route(self, store: Store) -> None:
        run = await open_run(store)
        (a,), asked_in = await ask(store, run, asking("a"))
        assert await store.wake(NOW + WITHIN - 1) == NOW + WITHIN
        assert await states(store, [a]) == [(State.WAITING, WaitReason.TRIAGE)]
        await store.wake(NOW + WITHIN)
        (task,) = await store.get_tasks([a])
        assert (task.state, task.route) == (State.READY, ROUTE)
        late = [Ruling(a, FOUND, NOW, {"category": "fraud"}, DIGEST)]
        assert await store.hear(asked_in, late, NOW + WITHIN + 1) == 0
        assert (await store.get_tasks([a]))[0].route == ROUTE, "it may have begun: nobody moves it any more"
        assert await store.verdicts([DIGEST]) == {DIGEST: {"category": "fraud"}}, "it was paid for"
        await sound(store)

    @pytest.mark.parametrize("how", ["running", "cancelled", "ended"])
    async def test_a_task_that_went_on_stays_as_it_is(self, store: Store, how: str) -> None:
        run = await open_run(store)
        (a,), asked_in = await ask(store, run, asking("a"))
        await store.join("w", LEASE, NOW)
        if how == "cancelled":
            await store.cancel([a], NOW)
        else:
            await store.wake(NOW + WITHIN)
            claimed = [one for one in await claim(store, now=NOW + WITHIN) if one.id == a]
            if how == "ended":
                await finish(store, claimed)
        before = await store.get_tasks([a])
        assert await store.hear(asked_in, [Ruling(a, FOUND, NOW, {"category": "fraud"})], NOW + 30) == 0
        assert await store.get_tasks([a]) == before
        await sound(store)

    async def test_what_somebody_set_by_hand_meanwhile_stays(self, store: Store) -> None:
        run = await open_run(store)
        (a,), asked_in = await ask(store, run, asking("a"))
        await store.adjust([a], Change(lane="press"), NOW)
        await store.hear(asked_in, [Ruling(a, FOUND, NOW, {"category": "fraud"})], NOW + 1)
        (task,) = await store.get_tasks([a])
        assert (task.lane, task.model, task.route.category) == ("press", "strong", "fraud")
        await sound(store)

    async def test_a_task_for_later_takes_the_route_and_keeps_its_time(self, store: Store) -> None:
        run = await open_run(store)
        (a,), asked_in = await ask(store, run, asking("a", wake_at=NOW + 3600))
        await store.hear(asked_in, [Ruling(a, FOUND, NOW + 3605, {"category": "fraud"})], NOW + 1)
        (task,) = await store.get_tasks([a])
        assert (task.state, task.wait_reason, task.wake_at) == (State.WAITING, WaitReason.SCHEDULED, NOW + 3600)
        assert task.route == FOUND
        await store.wake(NOW + 3600)
        assert (await store.get_tasks([a]))[0].state is State.READY
        await sound(store)

    async def test_a_task_that_an_earlier_one_does_is_not_asked_about(self, store: Store) -> None:
        first = await open_run(store, "one")
        await store.submit(first, [new("a")], NOW)
        run = await open_run(store, "two")
        done = await store.submit(run, [asking("a", dedupe_for=60.0), asking("b")], NOW)
        assert (done.shared, done.waiting) == (1, [1])


class TestOfAHeldRun:
    async def test_the_wait_begins_when_the_run_is_sealed(self, store: Store) -> None:
        run = await open_run(store)
        (a,), asked_in = await ask(store, run, asking("a"), held=True)
        await store.join("w", LEASE, NOW)
        await store.wake(NOW + 100)
        assert await claim(store, now=NOW + 100) == [], "nothing is paid before the whole input proved good"
        await store.seal_run(run, NOW + 100)
        (task,) = await store.get_tasks([a])
        assert (task.state, task.wait_reason, task.wake_at) == (State.WAITING, WaitReason.TRIAGE, NOW + 100 + WITHIN)
        assert [one.id for one in await claim(store, now=NOW + 100)] == [asked_in]
        await sound(store)

    async def test_an_abandoned_submission_leaves_no_question(self, store: Store) -> None:
        run = await open_run(store)
        await ask(store, run, asking("a"), held=True)
        await store.abandon_run(run)
        again = await open_run(store)
        (a,), asked_in = await ask(store, again, asking("a"), held=True)
        await store.seal_run(again, NOW)
        assert [one.asked_in for one in await store.questions(a)] == [asked_in]
        assert (await store.asked()).asked == 1
        await sound(store)

    async def test_questions_are_no_tasks_of_the_run(self, store: Store) -> None:
        run = await open_run(store, max_cost=1.0)
        (a, b), asked_in = await ask(store, run, asking("a"), new("b"), held=True)
        await store.seal_run(run, NOW)
        await store.join("w", LEASE, NOW)
        (claimed,) = [one for one in await claim(store) if one.id == asked_in]
        await finish(store, [claimed])
        run = await store.get_run(run.id)
        assert await counts(store, run) == {State.WAITING: 1, State.RUNNING: 1}
        assert sum(Counter(cell.lane for cell in await store.tally()).values()) == 1
        assert await store.results_after(run, run.cursor, 10) == []
        assert await store.select(Selector(run_id=run.id)) == [a, b]
        assert run.spent == pytest.approx(0.01), "but it was paid for"
        figures = await store.figures(run)
        assert [group.name for group in figures.by_type] == ["chat"]
        assert figures.cost_usd == pytest.approx(0.01)
        assert await store.asked(run.id) == AskedFigures(1, 0, 0, 0, 1, 90, 40, pytest.approx(0.01))  # type: ignore[arg-type]
        assert (await store.asked(run.id, since=NOW + 1)).calls == 0
        await sound(store)

    async def test_the_same_input_again_neither_drops_them_nor_writes_all_anew(self, store: Store) -> None:
        run = await open_run(store)
        (a,), asked_in = await ask(store, run, asking("a"), held=True)
        await store.seal_run(run, NOW)
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store))
        await store.hear(asked_in, [Ruling(a, FOUND, NOW, {"category": "fraud"}, DIGEST)], NOW + 1)
        again = await open_run(store)
        done = await store.submit(again, [new("a", route=FOUND)], NOW + 2, held=True)
        sealed = await store.seal_run(again, NOW + 2)
        assert (done.kept, sealed.dropped, sealed.rewrite) == (1, 0, False)
        assert (await store.get_tasks([asked_in]))[0].state is State.SUCCEEDED
        await sound(store)

    async def test_a_question_that_is_on_its_way_is_not_asked_twice(self, store: Store) -> None:
        run = await open_run(store)
        (a,), asked_in = await ask(store, run, asking("a"), held=True)
        await store.seal_run(run, NOW)
        again = await open_run(store)
        done = await store.submit(again, [asking("a")], NOW + 10, held=True)
        assert (done.kept, done.waiting) == (1, [])
        await store.seal_run(again, NOW + 10)
        assert (await store.get_tasks([a]))[0].wake_at == NOW + 10 + WITHIN, "it has all its time again"
        assert await store.waiting_for(asked_in) == [a]
        await sound(store)

    async def test_a_task_that_still_waits_is_asked_about_again(self, store: Store) -> None:
        run = await open_run(store)
        (a,), _ = await ask(store, run, asking("a"), held=True)
        await store.seal_run(run, NOW)
        await store.join("w", LEASE, NOW)
        await finish(store, await claim(store), State.FAILED)
        again = await open_run(store)
        (same,), asked_in = await ask(store, again, asking("a"), held=True, now=NOW + 10)
        assert same == a
        await store.seal_run(again, NOW + 10)
        assert (await store.get_tasks([a]))[0].wake_at == NOW + 10 + WITHIN
        assert await store.hear(asked_in, [Ruling(a, FOUND, NOW, {"category": "fraud"})], NOW + 12) == 1
        await sound(store)


class TestQuestionsThatNobodyWaitsFor:
    async def test_they_are_called_off_and_those_of_others_stay(self, store: Store) -> None:
        run, other = await open_run(store), await open_run(store, "other")
        (a,), idle = await ask(store, run, asking("a"))
        (b,), wanted = await ask(store, run, asking("b"), now=NOW + 10)
        _, others = await ask(store, other, asking("c"))
        await store.wake(NOW + WITHIN)
        assert await store.drop_questions(run.id) == 1
        found = {task.id: task.state for task in await store.get_tasks([a, b, idle, wanted, others])}
        assert found[idle] is State.CANCELLED
        assert (found[wanted], found[others], found[a], found[b]) == (
            State.READY,
            State.READY,
            State.READY,
            State.WAITING,
        )
        assert await store.drop_questions(run.id) == 0
        await sound(store)

    async def test_their_texts_go_when_content_is_pruned(self, store: Store) -> None:
        run = await open_run(store)
        _, idle = await ask(store, run, asking("a"))
        await store.wake(NOW + WITHIN)
        await store.drop_questions(run.id)
        await store.prune(NOW + 100)
        assert (await store.get_tasks([idle]))[0].pruned
        await sound(store)


class TestCounting:
    async def test_what_became_of_questions(self, store: Store) -> None:
        run = await open_run(store)
        (a, b, c, d), asked_in = await ask(store, run, *(asking(key) for key in "abcd"))
        rulings = [Ruling(a, FOUND, NOW, {"category": "x"}), Ruling(b, said={}), Ruling(c)]
        await store.hear(asked_in, rulings, NOW + 1)
        found = await store.asked(run.id)
        assert (found.asked, found.answered, found.abstained, found.unheard) == (4, 1, 1, 1)
        await store.wake(NOW + WITHIN)
        assert (await store.asked(run.id)).unheard == 2, "the last one was given up"
        assert await store.asked(run.id + 1) == AskedFigures()
        assert {d} == {task.id for task in await store.get_tasks([d]) if task.route == ROUTE}


async def test_judgements_of_a_running_tasks_calls_are_kept(store: Store) -> None:
    first, then = Judged(NOW + 1, "small", "middle", "it has grown"), Judged(NOW + 2, "middle", "strong", "it failed")
    assert await store.judged(7) == []
    await store.note_judged(7, then)
    await store.note_judged(7, first)
    await store.note_judged(8, first)
    assert await store.judged(7) == [first, then]
