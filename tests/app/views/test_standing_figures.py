"""Overview, lanes, accounts and workers as they are shown."""

from __future__ import annotations

import orjson

from laneway.app import views
from laneway.app.laneway import Laneway
from laneway.store.tallies import Tally, TallyKind
from laneway.task import State
from tests.store.helpers import NOW, ROUTE, claim, finish, new, run_with

MINUTE = int(NOW) // 60 * 60
STRONG = ROUTE._replace(model="strong", lane="special")


async def count(lw: Laneway, *tallies: Tally) -> None:
    await lw.store.add_tallies(tallies, NOW)


class TestOverview:
    async def test_an_empty_store_shows_nothing_and_fails_nowhere(self, lw: Laneway) -> None:
        shown = await views.overview(lw)
        assert (shown.waiting, shown.per_minute, shown.oldest_s, shown.cost_today_usd) == (0, 0.0, None, 0.0)
        assert (len(shown.minutes), len(shown.hours), shown.workers) == (60, 24, 1)
        assert shown.minutes[-1].at == MINUTE
        for found in (await views.lanes(lw), await views.accounts(lw), await views.workers(lw)):
            assert orjson.dumps([one.as_json() for one in found])
        assert orjson.dumps(shown.as_json())

    async def test_it_counts_what_is_there_and_what_was_done(self, lw: Laneway) -> None:
        await run_with(lw.store, [new(str(n), str(n)) for n in range(4)])
        claimed = await claim(lw.store, n=2)
        await finish(lw.store, claimed[:1])
        one = Tally(MINUTE, None, TallyKind.ALL, "", 20, 5, 0, 30, 5, 2, 900, 300, 0.25, {30: 25}, {40: 25})
        await count(lw, one, one._replace(at=MINUTE - 120), one._replace(at=MINUTE - 7200, team="red"))
        shown = await views.overview(lw)
        assert (shown.waiting, shown.counts["running"], shown.counts["succeeded"]) == (2, 1, 1)
        assert (shown.per_minute, shown.oldest_s) == (5.0, 0.0)
        assert [point.succeeded for point in shown.minutes[-3:]] == [20, 0, 20]
        assert (shown.hour.failed, shown.hour.failure_rate, shown.hour.rate_limited) == (10, 0.2, 4)
        assert shown.hour.wait.p50_s is not None
        assert sum(point.failed for point in shown.hours) == 15
        assert shown.cost_today_usd == 0.01
        assert (await views.overview(lw, "red")).cost_today_usd == 0.25
        assert (await views.overview(lw, "red")).waiting == 0

    async def test_it_says_what_binds_and_which_limits_are_used(self, lw: Laneway) -> None:
        use = {"main": {"in_flight": 3, "use": {"concurrency": 0.375, "requests_per_minute": 0.9}}}
        await lw.store.describe_worker("w", {"binds": "main: requests_per_minute", "accounts": use}, NOW)
        shown = await views.overview(lw)
        assert [(one.limit, one.share) for one in shown.use] == [("requests_per_minute", 0.9), ("concurrency", 0.375)]
        assert [(one.by, one.workers) for one in shown.binds] == [("main: requests_per_minute", 1)]
        lw.clock.advance(60)  # type: ignore[attr-defined]
        assert (await views.overview(lw)).binds == [], "a worker that is dead"


class TestLanes:
    async def test_a_lane_says_how_deep_it_is_and_when_it_will_be_empty(self, lw: Laneway) -> None:
        run = await run_with(lw.store, [new("a", "1"), new("b", "2"), new("c", "3", route=STRONG)])
        await count(lw, Tally(MINUTE, None, TallyKind.LANE, "general", 20))
        await lw.store.submit(run, [new("late", "4")], NOW - 90)
        general, special = await views.lanes(lw)
        assert (general.name, general.depth, general.left, general.concurrency) == ("general", 3, 3, 5)
        assert (general.per_minute, general.eta_s, general.oldest_s) == (2.0, 90.0, 0.0)
        assert (special.name, special.weight, special.eta_s, special.by_urgency) == (
            "special",
            2.0,
            None,
            {"standard": 1},
        )

    async def test_limits_that_somebody_set_hold_and_say_who_set_them(self, lw: Laneway) -> None:
        await lw.store.save_state("limits:lane:general", {"concurrency": 2, "by": "ann", "at": NOW}, NOW)
        await lw.store.save_state("limits:account:main", {"requests_per_minute": 9, "by": "ann", "at": NOW}, NOW)
        general, special = await views.lanes(lw)
        assert (general.concurrency, general.weight, special.live) == (2, 1.0, None)
        (main,) = await views.accounts(lw)
        for one in (general, main):
            assert one.live is not None
            assert (one.live["set_by"], one.live["set_at"]) == ("ann", NOW)

    async def test_a_paused_lane_and_one_of_no_config_are_shown(self, lw: Laneway) -> None:
        await run_with(lw.store, [new("a", route=ROUTE._replace(lane="odd"))])
        from laneway.store.steering import PauseKind

        await lw.store.pause(PauseKind.LANE, "odd", NOW)
        assert {one.name: one.paused_since for one in await views.lanes(lw)} == {
            "general": None,
            "odd": NOW,
            "special": None,
        }


class TestAccounts:
    async def test_an_account_says_what_is_in_flight_against_which_limit(self, lw: Laneway) -> None:
        state = {
            "limits": {"requests_per_minute": 100.0},
            "concurrency": 8,
            "origins": {"requests_per_minute": "config", "concurrency": "found"},
            "history": [[NOW - 9, "concurrency", 8, "no refusals at 8"]],
            "down": True,
            "breaker": {"open_since": NOW - 30, "next_probe": NOW + 5},
            "last_failure": "HTTP 503",
        }
        await lw.store.save_state("account:main", state, NOW - 1)
        own = {"main": {"in_flight": 6, "use": {"concurrency": 0.75}}}
        await lw.store.describe_worker("w", {"accounts": own}, NOW)
        await count(lw, Tally(MINUTE, None, TallyKind.ACCOUNT, "main", calls=40, rate_limited=3))
        (main,) = await views.accounts(lw)
        assert (main.in_flight, main.models, main.answers, main.down_since) == (6, ["small", "strong"], False, NOW - 30)
        assert [(one.name, one.value, one.source, one.use) for one in main.limits] == [
            ("concurrency", 8, "found", 0.75),
            ("requests_per_minute", 100.0, "config", 0.0),
        ]
        assert [(one.limit, one.reason) for one in main.changes] == [("concurrency", "no refusals at 8")]
        assert (main.hour.calls, main.minutes[-1].rate_limited) == (40, 3)


class TestWorkers:
    async def test_a_worker_says_how_busy_it_is(self, lw: Laneway) -> None:
        await run_with(lw.store, [new(str(n), str(n)) for n in range(4)])
        await claim(lw.store)
        await lw.store.describe_worker("w", {"most": 8, "cpu": 0.3, "draining": True}, NOW)
        (worker,) = await views.workers(lw)
        assert (worker.utilisation, worker.cpu, worker.draining, worker.alive) == (0.5, 0.3, True, True)
        assert [(one.lane, one.running) for one in worker.lanes] == [("general", 4)]
        assert State.RUNNING.value in (await views.overview(lw)).counts
