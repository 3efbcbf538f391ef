"""What every store keeps of what people say afterwards."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from laneway.store.feedback import BAD, GOOD, About, Feedback
from laneway.store.interface import Store
from laneway.store.steering import Selector, literal
from laneway.task import Outcome, State
from tests.store.conftest import OpenStore
from tests.store.helpers import LEASE, NOW, claim, finish, new, open_run, run_with, sound


async def ended(store: Store, n: int = 3) -> list[int]:
    """The ids of tasks that succeeded on ``small``."""
    run = await run_with(store, [new(f"t{i}", f"{i}") for i in range(n)])
    await store.join("w", LEASE, NOW)
    await finish(store, await claim(store))
    return await store.select(Selector(run_id=run.id))


class TestFeedback:
    async def test_the_last_word_about_each_thing_counts_for_everybody(self, open_store: OpenStore) -> None:
        store, other = await open_store(), await open_store()
        a, b, c = await ended(store)
        said = [Feedback(a, About.QUALITY, GOOD), Feedback(b, About.QUALITY, BAD, "too short")]
        assert await store.judge(said, NOW) == 2
        later = [Feedback(a, About.QUALITY, BAD, "wrong sum"), Feedback(a, About.CATEGORY, "billing")]
        assert await other.judge(later, NOW + 5) == 1, "one task"
        assert await store.feedback([a, b, c]) == [
            Feedback(a, About.CATEGORY, "billing", None, "small", NOW + 5),
            Feedback(a, About.QUALITY, BAD, "wrong sum", "small", NOW + 5),
            Feedback(b, About.QUALITY, BAD, "too short", "small", NOW),
        ]
        assert await store.feedback([c]) == []
        await sound(store)

    async def test_of_two_words_said_at_once_the_second_counts(self, store: Store) -> None:
        (a,) = await ended(store, 1)
        assert await store.judge([Feedback(a, About.QUALITY, GOOD), Feedback(a, About.QUALITY, BAD)], NOW) == 1
        assert [word.value for word in await store.feedback([a])] == [BAD]

    async def test_nothing_is_kept_of_tasks_that_are_not_there_yet(self, store: Store) -> None:
        await store.submit(await open_run(store), [new("held")], NOW, held=True)
        held = (await store.find_task("held")).id
        assert await store.judge([Feedback(held, About.CATEGORY, "x"), Feedback(999, About.CATEGORY, "x")], NOW) == 0
        assert await store.feedback([held, 999]) == []
        assert await store.judge([], NOW) == 0

    async def test_it_says_whose_answer_was_judged(self, store: Store) -> None:
        (a,) = await ended(store, 1)
        await store.judge([Feedback(a, About.QUALITY, BAD)], NOW)
        run = await run_with(store, [new("x")], identity="other")
        (claimed,) = await claim(store)
        await finish(store, [claimed], State.READY, outcome=Outcome.OUTPUT, model="strong")
        await finish(store, await claim(store))
        (b,) = await store.select(Selector(run_id=run.id))
        await store.judge([Feedback(b, About.QUALITY, GOOD)], NOW)
        assert [word.model for word in await store.feedback([a, b])] == ["small", "strong"]
        lines = await store.attempts_of([b, a, 999])
        assert [(line.task_id, line.model) for line in lines] == [(a, "small"), (b, "small"), (b, "strong")]
        assert lines == [*await store.attempts(a), *await store.attempts(b)]

    async def test_it_is_read_in_pages(self, store: Store) -> None:
        ids = await ended(store, 5)
        await store.judge([Feedback(id_, about, "x") for id_ in ids for about in About], NOW)
        await store.judge([Feedback(ids[0], About.CATEGORY, "y")], NOW - 60)
        found: list[Feedback] = []
        place = (0, "")
        while page := await store.feedback_after(place, 3):
            assert len(page) <= 3
            found += page
            place = (page[-1].task_id, page[-1].about.value)
        assert found == await store.feedback(ids)
        assert len(found) == 20
        assert len(await store.feedback_after((0, ""), 100, since=NOW - 1)) == 19

    async def test_a_note_goes_with_the_content_and_the_word_stays(self, store: Store) -> None:
        a, b, _ = await ended(store)
        await store.judge([Feedback(a, About.QUALITY, BAD, "quotes it"), Feedback(b, About.QUALITY, BAD, "too")], NOW)
        await store.prune(NOW + 1, limit=1)
        first, second = await store.feedback([a, b])
        assert (first.value, first.note) == (BAD, None)
        assert second.note == "too"

    async def test_odd_words_are_kept(self, store: Store) -> None:
        (a,) = await ended(store, 1)
        await store.judge([Feedback(a, About.CATEGORY, "käse'); DROP TABLE task; --", "🙂\n%s {0}")], NOW)
        (word,) = await store.feedback([a])
        assert (word.value, word.note) == ("käse'); DROP TABLE task; --", "🙂\n%s {0}")

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(keys=st.sets(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=4)))
    def test_a_literal_key_is_no_pattern(self, keys: set[str]) -> None:
        from fnmatch import fnmatchcase

        for key in keys:
            assert fnmatchcase(key, literal(key))
            assert not any(fnmatchcase(other, literal(key)) for other in keys - {key})

    async def test_a_task_is_chosen_by_a_key_that_looks_like_a_pattern(self, store: Store) -> None:
        await run_with(store, [new("a*", "1"), new("ab", "2"), new("[x]", "3"), new("x", "4"), new("a?[*", "5")])
        for key in ("a*", "[x]", "a?[*", "x"):
            assert await store.select(Selector(keys=(literal(key),))) == [(await store.find_task(key)).id]
