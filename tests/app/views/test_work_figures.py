"""Models, types, failures, runs and triage as they are shown."""

from __future__ import annotations

from typing import Any

from laneway.app import views
from laneway.app.laneway import Laneway
from laneway.store.steering import PauseKind, Selector
from laneway.store.tallies import Tally, TallyKind
from laneway.task import CLASSIFY, Failure, FailureClass, State
from tests.store.helpers import NOW, ROUTE, claim, finish, new, run_with

MINUTE = int(NOW) // 60 * 60
STRONG = ROUTE._replace(model="strong", lane="special")


def tally(kind: TallyKind, name: str, **more: Any) -> Tally:
    return Tally(MINUTE, None, kind, name)._replace(**more)


class TestModelsAndTypes:
    async def test_models_of_the_config_and_of_tasks_are_shown(self, lw: Laneway) -> None:
        await run_with(lw.store, [new("a", "1"), new("b", "2", route=ROUTE._replace(model="other"))])
        await lw.store.add_tallies([tally(TallyKind.MODEL, "small", succeeded=3, failed=1, cost=0.4, run={40: 4})], NOW)
        other, small, strong = await views.models(lw)
        assert (other.name, other.accounts, other.counts["ready"]) == ("other", [], 1)
        assert (small.name, small.accounts, small.input_price, small.counts["ready"]) == ("small", ["main"], 1.0, 1)
        assert (small.hour.failure_rate, small.hour.cost_per_task_usd, small.hour.run.tasks) == (0.25, 0.1, 4)
        assert (strong.name, strong.hour.calls) == ("strong", 0)

    async def test_types_that_ended_today_are_shown_but_not_triages_own(self, lw: Laneway) -> None:
        early = tally(TallyKind.TYPE, "early", succeeded=1)._replace(at=MINUTE - 4 * 3600)
        counted = [tally(TallyKind.TYPE, name, succeeded=1) for name in ("letter", CLASSIFY)]
        await lw.store.add_tallies([*counted, early], NOW)
        assert [(one.name, one.hour.succeeded) for one in await views.types(lw)] == [("early", 0), ("letter", 1)]


class TestFailures:
    async def test_failures_are_grouped_by_class_and_code(self, lw: Laneway) -> None:
        bad = Failure(FailureClass.REQUEST, "bad", "no good " * 200, 400)
        await run_with(lw.store, [new("a", "1"), new("b", "2", route=STRONG), new("c", "3")])
        tasks = await claim(lw.store)
        await finish(lw.store, tasks[:2], State.FAILED, failure=bad)
        await finish(lw.store, tasks[2:], State.FAILED, failure=Failure(FailureClass.OUTPUT, "schema", ""))
        most, other = await views.failures(lw)
        assert (most.cls, most.code, most.tasks, most.share) == ("request", "bad", 2, 0.6667)
        assert most.example == max(task.id for task in tasks[:2])
        assert len(most.message) == 500
        assert {(one.model, one.lane, one.tasks) for one in most.where} <= {
            ("small", "general", 1),
            ("small", "general", 2),
            ("strong", "special", 1),
        }
        assert (other.code, other.tasks) == ("schema", 1)
        assert await views.failures(lw, Selector(team="red")) == []

    async def test_only_those_that_were_asked_for_are_told(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1"), new("b", "2", route=STRONG)])
        await finish(lw.store, await claim(lw.store), State.FAILED)
        await run_with(lw.store, [new("c", "3")], identity="other")
        await finish(lw.store, await claim(lw.store), State.FAILED, failure=Failure(FailureClass.OUTPUT, "schema", ""))

        async def told(**which: Any) -> list[tuple[str, int, float]]:
            return [(one.code, one.tasks, one.share) for one in await views.failures(lw, Selector(**which))]

        assert await told() == [("bad", 2, 0.6667), ("schema", 1, 0.3333)]
        assert await told(lanes=("special", "x")) == [("bad", 1, 1.0)]
        assert await told(models=("strong",), types=("chat",)) == [("bad", 1, 1.0)]
        assert await told(classes=("output",)) == await told(codes=("schema",)) == [("schema", 1, 1.0)]
        assert await told(run_id=run.id) == [("bad", 2, 1.0)]
        assert await told(run_id=run.id, classes=("output",)) == await told(types=("letter",)) == []


class TestRuns:
    async def test_a_run_says_how_far_it_is_and_what_it_cost(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1"), new("b", "2")], max_cost=0.04)
        await finish(lw.store, (await claim(lw.store, n=1)))
        await lw.store.pause(PauseKind.RUN, str(run.id), NOW)
        (line,) = (await views.runs(lw)).runs
        assert (line.name, line.tasks, line.progress, line.counts["ready"]) == ("out.jsonl", 2, 0.5, 1)
        assert (line.spent_usd, line.max_cost_usd, line.budget_used, line.paused_since) == (0.01, 0.04, 0.25, NOW)

    async def test_runs_come_a_page_at_a_time(self, lw: Laneway) -> None:
        for n in range(5):
            team = "red" if n % 2 else None
            await lw.store.open_run(str(n), info={"kind": "batch", "team": team}, max_cost=None, now=NOW)
        first = await views.runs(lw, limit=2)
        assert ([one.name for one in first.runs], first.next) == (["4", "3"], first.runs[-1].id)
        last = await views.runs(lw, cursor=first.next, limit=3)
        assert ([one.name for one in last.runs], last.next) == (["2", "1", "0"], None)
        assert [one.name for one in (await views.runs(lw, "red")).runs] == ["3", "1"]


class TestTriage:
    async def test_it_says_where_the_work_went_and_what_that_saved(self, lw: Laneway) -> None:
        def of_model(name: str, tasks: int, cost: float) -> Tally:
            return tally(TallyKind.MODEL, name, succeeded=tasks, calls=tasks, cost=cost, input_tokens=tasks * 1000)

        questions = tally(TallyKind.TYPE, CLASSIFY, calls=2, cost=0.01)
        await lw.store.add_tallies([of_model("small", 3, 0.003), of_model("strong", 1, 0.01), questions], NOW)
        shown = await views.triage(lw)
        assert [(one.model, one.share) for one in shown.models] == [("small", 0.75), ("strong", 0.25)]
        assert (shown.strongest, shown.strongest_usd, shown.cost_usd) == ("strong", 0.04, 0.013)
        assert (shown.saved, shown.classifier_calls, shown.classifier_usd) == (0.675, 2, 0.01)

    async def test_without_work_nothing_is_saved(self, lw: Laneway) -> None:
        shown = await views.triage(lw)
        assert (shown.models, shown.saved) == ([], None)
