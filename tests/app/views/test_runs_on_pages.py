"""When a run will have ended, what it saved, and what triage decided, as pages tell it."""

from __future__ import annotations

from laneway.app.laneway import Laneway
from laneway.app.views.mix import mix
from laneway.app.views.pace import eta
from laneway.app.views.runs import lines
from laneway.app.views.saving import run_saving
from laneway.store.tallies import Tally, TallyKind
from laneway.task import Urgency
from tests.store.helpers import NOW, ROUTE, claim, finish, new, run_with

URGENT = ROUTE._replace(urgency=Urgency.URGENT)
SPECIAL = ROUTE._replace(model="strong", lane="special")


async def ended_lately(lw: Laneway, **lanes: int) -> None:
    minute = int(NOW) // 60 * 60
    await lw.store.add_tallies([Tally(minute, None, TallyKind.LANE, name, n) for name, n in lanes.items()], NOW)


class TestPace:
    async def test_a_run_ends_when_what_goes_before_it_has(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new(f"u{n}", str(n), route=URGENT) for n in range(10)])
        await run_with(lw.store, [new(f"s{n}", str(n)) for n in range(50)], identity="other")
        await ended_lately(lw, general=100)
        assert await eta(lw, await lw.store.tally(run.id)) == 60.0, "ten tasks at a hundred in ten minutes"

    async def test_the_slowest_lane_says_when(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1"), new("b", "2", route=SPECIAL)])
        await ended_lately(lw, general=600, special=60)
        assert await eta(lw, await lw.store.tally(run.id)) == 10.0

    async def test_nobody_knows_where_nothing_ended_lately(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1"), new("b", "2", route=SPECIAL)])
        await ended_lately(lw, general=600)
        assert await eta(lw, await lw.store.tally(run.id)) is None

    async def test_what_has_ended_is_over(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1")])
        await finish(lw.store, await claim(lw.store))
        assert await eta(lw, await lw.store.tally(run.id)) == 0.0


class TestSaving:
    async def test_is_told_against_the_same_tokens_on_the_dearest_model(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1")])
        await finish(lw.store, await claim(lw.store), cost=0.00017)
        (line,) = await lines(lw, [run])
        saving = await run_saving(lw, run, line)
        assert saving is not None
        assert (saving.strongest, round(saving.saved, 6)) == ("strong", 0.9)

    async def test_is_not_told_of_what_has_no_price(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1")])
        await finish(lw.store, await claim(lw.store), cost=None)
        (line,) = await lines(lw, [run])
        assert await run_saving(lw, run, line) is None


class TestMix:
    async def test_counts_labels_and_who_decided_without_words_of_texts(self, lw: Laneway) -> None:
        learnt = {"model": "[defaults]", "lane": 'rule 1 "a"', "category": "learnt (category 1f), sure at 0.9: secret"}
        learnt["urgency"] = "classifier small"
        route = URGENT._replace(category="refund", complexity="low", reasons=learnt)
        await run_with(lw.store, [new("a", "1", route=route), new("b", "2", route=route), new("c", "3")])
        found = await mix(lw)
        assert (found.tasks, found.urgencies, found.categories) == (3, {"urgent": 2, "standard": 1}, {"refund": 2})
        assert found.deciders["lane"] == {"rules": 2, "defaults": 1}
        assert found.deciders["urgency"] == {"classifier": 2, "defaults": 1}
        assert found.deciders["category"] == {"learnt": 2}
        assert "secret" not in str(found.as_json())

    async def test_an_empty_store_has_none(self, lw: Laneway) -> None:
        assert (await mix(lw)).as_json()["deciders"] == {}
