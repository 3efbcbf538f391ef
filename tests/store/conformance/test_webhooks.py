"""What every store keeps of who is to be told when a task has ended."""

from __future__ import annotations

from laneway.store.interface import Store
from laneway.store.webhooks import KEPT_S, NOT_ENDED, Webhook
from laneway.task import State
from tests.store.conftest import OpenStore
from tests.store.helpers import NOW, claim, finish, new, run_with, tamper

URL = "https://hooks.example/laneway"


async def hooked(store: Store, n: int = 1) -> list[Webhook]:
    run = await run_with(store, [new(f"k{at}") for at in range(n)])
    ids = [found[0] for found in (await store.named(run, [f"k{at}" for at in range(n)])).values()]
    hooks = [Webhook(f"h{id_}", id_, URL, "red", NOW) for id_ in sorted(ids)]
    await store.add_webhooks(hooks, NOW)
    return hooks


async def test_it_is_due_when_its_task_has_ended_and_one_server_gets_it(open_store: OpenStore) -> None:
    store, other = await open_store(), await open_store()
    (hook,) = await hooked(store)
    seen = await store.rouse_webhooks(None, NOW)
    assert await store.webhooks(hook.task_id) == [hook]
    assert await store.claim_webhooks(NOW, NOW + 60, 9) == []
    await finish(store, await claim(store))
    assert await other.rouse_webhooks(seen, NOW + 1) > seen
    (claimed,) = await other.claim_webhooks(NOW + 1, NOW + 61, 9)
    assert claimed == hook._replace(attempts=1, next_at=NOW + 61)
    assert await store.claim_webhooks(NOW + 60, NOW + 120, 9) == [], "another one has it"
    (again,) = await store.claim_webhooks(NOW + 61, NOW + 121, 9)
    assert again.attempts == 2
    assert not await other.settle_webhook(claimed, claimed._replace(next_at=None, done_at=NOW + 62, error=None)), (
        "it took too long"
    )
    assert await store.settle_webhook(again, again._replace(next_at=None, done_at=NOW + 63, error=None))
    await store.rouse_webhooks(None, NOW + 64)
    await store.rouse_webhooks(seen, NOW + 64)
    assert await store.claim_webhooks(NOW + 999, NOW + 1059, 9) == []
    assert (await store.webhooks(hook.task_id))[0].done_at == NOW + 63


async def test_a_task_that_ended_before_somebody_asked_is_told_of(store: Store) -> None:
    run = await run_with(store, [new("k")])
    await finish(store, await claim(store))
    id_ = (await store.named(run, ["k"]))["k"][0]
    hook = Webhook("h", id_, URL, None, NOW + 5)
    await store.add_webhooks([hook, hook], NOW + 5)
    (claimed,) = await store.claim_webhooks(NOW + 5, NOW + 65, 9)
    assert claimed.created_at == NOW + 5
    await store.add_webhooks([hook], NOW + 6)
    assert await store.webhooks(id_) == [claimed], "it is known"


async def test_what_ended_unseen_is_found_by_a_whole_look(store: Store) -> None:
    hooks = await hooked(store, 3)
    await finish(store, await claim(store, n=2))
    seen = await store.rouse_webhooks(None, NOW + 1)
    due = await store.claim_webhooks(NOW + 1, NOW + 61, 1)
    due += await store.claim_webhooks(NOW + 1, NOW + 61, 9)
    assert sorted(one.id for one in due) == [one.id for one in hooks[:2]]
    assert (await store.webhooks(hooks[2].task_id))[0].next_at == NOT_ENDED
    assert await store.rouse_webhooks(seen, NOW + 1) == seen


async def test_a_delivery_that_failed_is_due_again_when_it_says_so(store: Store) -> None:
    await hooked(store)
    await finish(store, await claim(store))
    seen = await store.rouse_webhooks(None, NOW)
    (claimed,) = await store.claim_webhooks(NOW, NOW + 60, 9)
    await store.settle_webhook(claimed, claimed._replace(next_at=NOW + 5, done_at=None, error="HTTP 500"))
    await store.rouse_webhooks(seen - 1, NOW + 1)
    assert await store.claim_webhooks(NOW + 4, NOW + 64, 9) == []
    (again,) = await store.claim_webhooks(NOW + 5, NOW + 65, 9)
    assert (again.attempts, again.error) == (2, "HTTP 500")


async def test_a_task_that_goes_again_is_told_of_again(store: Store) -> None:
    (hook,) = await hooked(store)
    await finish(store, await claim(store), State.FAILED)
    seen = await store.rouse_webhooks(None, NOW)
    (claimed,) = await store.claim_webhooks(NOW, NOW + 60, 9)
    await store.settle_webhook(claimed, claimed._replace(next_at=None, done_at=NOW - 1, error=None))
    await store.retry([hook.task_id], NOW)
    await store.rouse_webhooks(None, NOW + 1)
    assert await store.claim_webhooks(NOW + 1, NOW + 61, 9) == [], "it has not ended again"
    await finish(store, await claim(store))
    await store.rouse_webhooks(seen, NOW + 2)
    (told,) = await store.claim_webhooks(NOW + 2, NOW + 62, 9)
    assert (told.id, told.attempts, told.done_at) == (hook.id, 1, None)


async def test_what_was_done_with_long_ago_is_forgotten_and_so_is_what_has_no_task(store: Store) -> None:
    first, second, third = await hooked(store, 3)
    await finish(store, await claim(store, n=2))
    await store.rouse_webhooks(None, NOW)
    for one in await store.claim_webhooks(NOW, NOW + 60, 9):
        await store.settle_webhook(
            one, one._replace(next_at=None, done_at=NOW + (one.id == second.id), error="gave up")
        )
    await tamper(store, f"DELETE FROM {{0}}task WHERE id = {third.task_id}")
    await store.rouse_webhooks(None, NOW + KEPT_S + 0.5)
    assert await store.webhooks(first.task_id) == []
    assert [one.error for one in await store.webhooks(second.task_id)] == ["gave up"]
    assert await store.webhooks(third.task_id) == []
