"""What every store keeps of figures by time."""

from __future__ import annotations

import asyncio
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.store.interface import Store
from laneway.store.tallies import HOUR_S, MINUTE_S, STEP, Tally, TallyKind, bucket, quantile
from tests.store.conftest import OpenStore
from tests.store.helpers import NOW

START = int(NOW) // HOUR_S * HOUR_S
SMALL = Tally(START, None, TallyKind.MODEL, "small", 3, 1, 0, 5, 1, 1, 300, 60, 0.5, {3: 2, 4: 1}, {20: 3})
LATER = SMALL._replace(at=START + 60)


async def read(store: Store, **more: object) -> list[Tally]:
    options: dict[str, object] = {"span": HOUR_S, **more}
    return await store.tallies(TallyKind.MODEL, START, START + HOUR_S, **options)  # type: ignore[arg-type]


class TestTallies:
    async def test_workers_add_to_each_others_figures(self, open_store: OpenStore) -> None:
        one, other = await open_store(), await open_store()
        await one.add_tallies([SMALL], NOW)
        await other.add_tallies([SMALL._replace(at=START + 59, wait={4: 1, 9: 1})], NOW)
        (found,) = await read(one)
        assert found._replace(wait={}, run={}) == (await read(one, span=MINUTE_S))[0], "minutes have no histograms"
        assert await read(one, times=False) == [found._replace(wait={}, run={})]
        assert found == Tally(
            START, None, TallyKind.MODEL, "small", 6, 2, 0, 10, 2, 2, 600, 120, 1.0, {3: 2, 4: 2, 9: 1}, {20: 6}
        )

    async def test_two_of_one_thing_in_one_go_are_added_up(self, store: Store) -> None:
        await store.add_tallies([SMALL, SMALL], NOW)
        assert [(one.succeeded, one.run) for one in await read(store)] == [(6, {20: 6})]

    async def test_minutes_and_hours_are_kept_beside_each_other(self, store: Store) -> None:
        await store.add_tallies([SMALL, LATER, LATER._replace(name="strong")], NOW)
        assert [(one.at, one.name) for one in await read(store, span=MINUTE_S)] == [
            (START, "small"),
            (START + 60, "small"),
            (START + 60, "strong"),
        ]
        hours = await read(store)
        assert [(one.at, one.name, one.calls) for one in hours] == [(START, "small", 10), (START, "strong", 5)]

    async def test_a_time_may_be_read_as_one(self, store: Store) -> None:
        await store.add_tallies([SMALL, LATER], NOW)
        (whole,) = await read(store, whole=True)
        assert (whole.at, whole.succeeded, whole.cost, whole.wait) == (START, 6, 1.0, {3: 4, 4: 2})

    async def test_only_what_begins_in_the_time_is_read(self, store: Store) -> None:
        await store.add_tallies([SMALL, LATER], NOW)
        assert [one.at for one in await store.tallies(TallyKind.MODEL, START + 0.5, START + 60)] == []
        assert [one.at for one in await store.tallies(TallyKind.MODEL, START, START + 60)] == [START]

    async def test_a_team_sees_its_own_and_all_are_the_sum(self, store: Store) -> None:
        await store.add_tallies([SMALL, SMALL._replace(team="red"), SMALL._replace(team="blue")], NOW)
        assert [one.succeeded for one in await read(store)] == [9]
        assert [(one.team, one.succeeded) for one in await read(store, team="red")] == [("red", 3)]
        assert [one.succeeded for one in await read(store, team=None)] == [3]
        assert await read(store, team="green") == []

    async def test_kinds_do_not_mix(self, store: Store) -> None:
        await store.add_tallies([SMALL, SMALL._replace(kind=TallyKind.LANE)], NOW)
        assert [one.succeeded for one in await read(store)] == [3]

    async def test_old_minutes_go_and_their_hours_stay(self, store: Store) -> None:
        await store.add_tallies([SMALL], NOW)
        await store.add_tallies([SMALL._replace(at=START + 27 * HOUR_S)], NOW + 27 * HOUR_S)
        assert await read(store, span=MINUTE_S) == []
        assert [one.run for one in await read(store)] == [{20: 3}]
        await store.add_tallies([], NOW + 9 * 86_400)
        assert [(one.succeeded, one.run) for one in await read(store)] == [(3, {})]
        await store.add_tallies([], NOW + 401 * 86_400)
        assert await read(store) == []

    async def test_many_may_add_at_once(self, open_store: OpenStore) -> None:
        stores = [await open_store() for _ in range(3)]
        names = [SMALL._replace(name=name) for name in "abcdef"]
        await asyncio.gather(*(store.add_tallies(names[:: 1 - 2 * (n % 2)], NOW) for n, store in enumerate(stores * 5)))
        assert [one.succeeded for one in await read(stores[0])] == [45] * 6


class TestHistograms:
    @given(st.lists(st.floats(0.002, 90_000), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
    def test_a_quantile_is_off_by_half_a_step_at_most(self, seconds: list[float], share: float) -> None:
        histogram: dict[int, int] = {}
        for one in seconds:
            histogram[bucket(one)] = histogram.get(bucket(one), 0) + 1
        exact = sorted(seconds)[max(0, -(-int(share * 1000) * len(seconds) // 1000) - 1)]
        found = quantile(histogram, share)
        assert found is not None
        assert abs(log(found / exact)) <= log(STEP) / 2 + 1e-9

    def test_of_nothing_nothing_is_known(self) -> None:
        assert quantile({}, 0.5) is None
        assert bucket(-1.0) == bucket(0.0) == 0

    def test_a_quantile_of_a_quick_one_is_not_nothing(self) -> None:
        assert quantile({0: 1}, 0.99) == pytest.approx(0.001)
