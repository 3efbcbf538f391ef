"""What failed, as its page says it."""

from __future__ import annotations

from laneway.store.interface import Store
from laneway.task import Failure, FailureClass, State
from tests.server.door import Door
from tests.store.helpers import LEASE, NOW, ROUTE, claim, finish, new, run_with

SCHEMA = Failure(FailureClass.OUTPUT, "schema", "no JSON")


async def fail(store: Store, n: int, failure: Failure, identity: str, lane: str = "general") -> None:
    route = ROUTE._replace(lane=lane)
    await run_with(store, [new(f"{identity}-{i}", str(i), route=route) for i in range(n)], identity=identity)
    await finish(store, await claim(store), State.FAILED, failure=failure)


async def test_places_are_those_of_all_runs_together_and_narrowed_by_the_url(door: Door) -> None:
    store = door.lw.store
    await store.join("w", LEASE, NOW)
    bad = Failure(FailureClass.REQUEST, "bad", "no good")
    await fail(store, 2, bad, "one")
    await fail(store, 3, bad, "two")
    await fail(store, 4, bad, "three", "special")
    await fail(store, 11, SCHEMA, "four")
    client = door.client()

    async def page(query: str = "") -> str:
        return " ".join((await client.get(f"/ui/failures/live{query}")).text.split())

    whole = await page()
    assert "20 tasks failed." in whole
    assert whole.index("Output <small>11</small>") < whole.index("Request <small>9</small>")
    assert "2 places" in whole
    assert whole.index("<span>5 ·") < whole.index("<span>4 ·"), "of two runs, then of another lane"
    special = await page("?lane=special&urgency=urgent")
    assert "4 tasks failed, of those with lane special." in special
    assert "Output" not in special
    assert "of those with class account" in await page("?class=account"), "nothing"
