"""Telling: signed, again when it fails, once by several servers, and never where it must not go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from laneway import InputError, Laneway
from laneway.clock import ManualClock
from laneway.config.models import Config, ServerConfig
from laneway.errors import ConfigError
from laneway.server.webhooks.book import DELAYS, Ask, Webhooks
from laneway.store.webhooks import Webhook
from laneway.task import State
from tests.server.webhooks.receiver import OTHER, SECRET, Receiver, of_team
from tests.server.webhooks.test_targets import Names
from tests.store.helpers import claim, finish, new, run_with, settlement

DAY = 86_400.0
Open = Callable[..., Laneway]


@pytest.fixture
async def open_lw(tmp_path: Path) -> AsyncIterator[Open]:
    opened: list[Laneway] = []
    clock = ManualClock()

    def open_(secrets: str = SECRET, **server: Any) -> Laneway:
        config = Config(server=ServerConfig(**{"webhook_hosts": ["127.0.0.1"], **server}))
        env = {"LANEWAY_WEBHOOK_SECRET": secrets}
        opened.append(Laneway(config, store=f"sqlite:///{tmp_path}/store.db", env=env, clock=clock))
        return opened[-1]

    yield open_
    for lw in opened:
        await lw.close()


def later(lw: Laneway, seconds: float) -> None:
    assert isinstance(lw.clock, ManualClock)
    lw.clock.advance(seconds)


async def ended(lw: Laneway, url: str, state: State = State.SUCCEEDED, team: str | None = None) -> int:
    """A task that somebody is to be told of."""
    hooks = Webhooks(lw)
    run = await run_with(lw.store, [new("k")])
    id_ = (await lw.store.named(run, ["k"]))["k"][0]
    await hooks.register([Ask(id_, hooks.check(url), team)])
    await finish(lw.store, await claim(lw.store), state)
    return id_


async def send(hooks: Webhooks) -> None:
    await hooks.look()
    await hooks.settled()


async def known(lw: Laneway, task_id: int) -> Webhook:
    (hook,) = await lw.store.webhooks(task_id)
    return hook


async def test_what_is_told_is_signed_by_every_secret_and_has_no_content(open_lw: Open) -> None:
    lw = open_lw(f"{SECRET} {OTHER}")
    async with Receiver() as receiver:
        id_ = await ended(lw, receiver.url(), State.FAILED)
        await send(Webhooks(lw))
    (told,) = receiver.told
    assert told.signed_by(SECRET)
    assert told.signed_by(OTHER)
    assert not told.signed_by("whsec_" + "A" * 43 + "=")
    assert told.headers["Content-Type"] == "application/json"
    assert abs(float(told.headers["webhook-timestamp"]) - lw.clock.now()) < 1
    assert told.said["type"] == "task.failed"
    data = told.said["data"]
    assert (data["id"], data["key"], data["state"], data["attempts"]) == (id_, "k", "failed", 1)
    assert "output" not in data
    assert (data["error"]["class"], data["error"]["code"]) == ("request", "bad")
    assert "no good" not in told.body.decode(), "a provider's words may quote the prompt"
    assert (await known(lw, id_)).done_at is not None


async def test_a_teams_receiver_can_be_told_nothing_by_another_team(open_lw: Open) -> None:
    lw = open_lw(f"{SECRET} {OTHER}")
    async with Receiver() as receiver:
        await ended(lw, receiver.url(), team="red")
        await send(Webhooks(lw))
    (told,) = receiver.told
    assert told.signed_by(of_team(SECRET, "red"))
    assert told.signed_by(of_team(OTHER, "red")), "while the server's is replaced, so are the teams'"
    for other in (SECRET, OTHER, of_team(SECRET, "blue"), of_team(OTHER, "blue"), of_team(SECRET, "")):
        assert not told.signed_by(other)


async def test_answers_are_sent_where_that_is_wished(open_lw: Open) -> None:
    lw = open_lw(webhook_content=True)
    async with Receiver() as receiver:
        await ended(lw, receiver.url())
        await send(Webhooks(lw))
    data = receiver.told[0].said["data"]
    assert data["output_omitted"] is False
    assert "output" in data


async def test_it_is_tried_again_for_a_day_with_one_id_and_then_given_up(open_lw: Open) -> None:
    lw = open_lw()
    async with Receiver(500) as receiver:
        id_ = await ended(lw, receiver.url())
        hooks, began = Webhooks(lw), lw.clock.now()
        for _ in range(20):
            await send(hooks)
            hook = await known(lw, id_)
            if hook.next_at is None:
                break
            await send(hooks)  # it is not due yet
            later(lw, hook.next_at - lw.clock.now())
    assert (hook.attempts, hook.error) == (len(DELAYS) + 1, "HTTP 500")
    assert hook.done_at is not None
    assert 0.8 * DAY < lw.clock.now() - began < 1.4 * DAY
    assert len(receiver.told) == len(DELAYS) + 1
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 1
    assert all(told.signed_by(SECRET) for told in receiver.told)


async def test_gone_is_gone_and_who_asks_for_time_gets_it(open_lw: Open) -> None:
    lw = open_lw()
    async with Receiver(429, 410) as receiver:
        id_ = await ended(lw, receiver.url())
        hooks = Webhooks(lw)
        await send(hooks)
        assert (await known(lw, id_)).next_at == lw.clock.now() + 600
        later(lw, 600)
        await send(hooks)
        later(lw, DAY)
        await send(hooks)
    assert len(receiver.told) == 2
    assert (await known(lw, id_)).error == "HTTP 410"


async def test_redirects_lead_nowhere(open_lw: Open) -> None:
    lw = open_lw()
    async with Receiver() as secret_place, Receiver(secret_place.url()) as receiver:
        id_ = await ended(lw, receiver.url())
        await send(Webhooks(lw))
        assert len(receiver.told) == 1
        assert secret_place.told == []
    assert "redirect" in str((await known(lw, id_)).error)


async def test_a_name_that_turns_to_a_private_address_is_not_connected_to(open_lw: Open) -> None:
    lw = open_lw(webhook_hosts=[])
    async with Receiver() as receiver:
        id_ = await ended(lw, receiver.url("hooks.example"))
        await send(Webhooks(lw, Names(["127.0.0.1"])))
        assert receiver.told == []
    hook = await known(lw, id_)
    assert hook.done_at is not None
    assert hook.error == "hooks.example is not public; [server] webhook_hosts may list it"


async def test_the_address_that_was_checked_is_the_one_connected_to(open_lw: Open) -> None:
    lw = open_lw(webhook_hosts=["127.0.0.0/8"])
    async with Receiver() as receiver:
        await ended(lw, receiver.url("hooks.example"))
        await send(Webhooks(lw, Names(["127.0.0.1"], ["10.0.0.1"])))
        assert len(receiver.told) == 1, "the name was asked for once"
        assert receiver.told[0].headers["Host"].startswith("hooks.example:")


async def test_proxies_of_the_environment_are_not_asked(open_lw: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    lw = open_lw()
    async with Receiver() as receiver, Receiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url())
        await ended(lw, receiver.url())
        await send(Webhooks(lw))
        assert (len(receiver.told), len(proxy.told)) == (1, 0)


async def test_several_servers_send_it_once_and_a_killed_ones_is_sent_by_another(open_lw: Open) -> None:
    lw, other = open_lw(), open_lw()
    async with Receiver() as receiver:
        receiver.held.clear()
        id_ = await ended(lw, receiver.url())
        first, second = Webhooks(lw), Webhooks(other)
        async with first.sending():
            await receiver.heard(1)
            await send(second)
            assert len(receiver.told) == 1
        receiver.held.set()  # the first is no more, and never heard the answer
        await send(second)
        assert len(receiver.told) == 1, "it may still come to its end"
        later(other, 61)
        await send(second)
        assert len(receiver.told) == 2
        assert receiver.told[0].headers["webhook-id"] == receiver.told[1].headers["webhook-id"]
    assert (await known(lw, id_)).error is None


async def test_a_host_that_does_not_answer_holds_up_nobody_else(open_lw: Open) -> None:
    lw = open_lw()
    async with Receiver() as gone:
        dead = gone.url()
    id_ = await ended(lw, dead)
    hooks = Webhooks(lw)
    await send(hooks)
    hook = await known(lw, id_)
    assert hook.next_at is not None
    later(lw, hook.next_at - lw.clock.now())
    await send(hooks)
    kept = await known(lw, id_)
    assert (kept.attempts, str(kept.error)[:13]) == (1, "no connection"), "it was left alone"


async def test_a_task_that_goes_again_is_told_of_under_another_id(open_lw: Open) -> None:
    lw = open_lw()
    async with Receiver() as receiver:
        id_ = await ended(lw, receiver.url(), State.FAILED)
        hooks = Webhooks(lw)
        await send(hooks)
        later(lw, 100)
        await lw.store.retry([id_], lw.clock.now())
        await send(hooks)
        assert len(receiver.told) == 1
        (task,) = await claim(lw.store, now=lw.clock.now())
        await lw.store.settle("w", [settlement(task)], lw.clock.now())
        await send(hooks)
    assert [told.said["type"] for told in receiver.told] == ["task.failed", "task.succeeded"]
    assert len({told.headers["webhook-id"] for told in receiver.told}) == 2


async def test_what_can_never_be_told_is_refused(open_lw: Open) -> None:
    hooks = Webhooks(open_lw())
    assert hooks.check("http://127.0.0.1:8000/a#b") == "http://127.0.0.1:8000/a"
    with pytest.raises(InputError, match="not public"):
        hooks.check("http://10.0.0.1/")
    with pytest.raises(InputError, match="holds no secret"):
        Webhooks(open_lw("")).check("https://example.com/")
    for wrong in ("hunter2-hunter2-hunter2", "whsec_c2hvcnQ=", "whsec_!"):
        with pytest.raises(ConfigError) as refused:
            Webhooks(open_lw(wrong)).check("https://example.com/")
        assert wrong not in str(refused.value) + refused.value.hint


async def test_sending_ends_when_it_is_told_to(open_lw: Open) -> None:
    hooks = Webhooks(open_lw())
    async with asyncio.timeout(5), hooks.sending():
        pass
