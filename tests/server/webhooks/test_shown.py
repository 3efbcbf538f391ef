"""What became of a webhook is seen where its task is: by the API, by `explain`, on its page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from laneway import Laneway
from laneway.app.explaining import explanation
from laneway.cli.show import _task_text
from laneway.clock import ManualClock
from laneway.server.app import Manners, application
from laneway.server.caller import LOCAL, Caller, Role
from laneway.server.webhooks.book import Webhooks
from laneway.store.webhooks import Webhook
from laneway.task import Urgency
from tests.server.native.asking import CONFIG, Asker, Known, Refused
from tests.server.webhooks.receiver import SECRET, Receiver
from tests.store.helpers import NOW, claim, finish, new, run_with

RED = Caller("ann", "red", Role.OPERATE)
BLUE = Caller("ben", "blue", Role.OPERATE)


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    (tmp_path / "laneway.toml").write_text(
        f'hide_content = true\n{CONFIG}[server]\nwebhook_hosts = ["127.0.0.1"]\nhide_content = true\n'
    )
    (tmp_path / "prompt.j2").write_text("What is {{ doc }}?")
    env = {"OPENAI_API_KEY": "sk-test", "LANEWAY_WEBHOOK_SECRET": SECRET}
    lw = Laneway(tmp_path / "laneway.toml", env=env, clock=ManualClock())
    yield lw
    await lw.close()


@pytest.fixture
def api(lw: Laneway) -> Asker:
    return Asker(application(lw, Manners(Urgency.STANDARD, 5.0, 1_000_000, works=False)))


async def page(api: Asker, path: str, who: Caller = LOCAL) -> str:
    transport = httpx.ASGITransport(Known(api.app, who))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return (await client.get(path, headers={"Accept": "text/html"})).text


async def explained(lw: Laneway, id_: int) -> str:
    return _task_text(await explanation(lw, (await lw.store.get_tasks([id_]))[0]))


async def test_it_waits_is_tried_again_and_delivered(lw: Laneway, api: Asker) -> None:
    assert isinstance(lw.clock, ManualClock)
    async with Receiver(500, 204) as receiver:
        to = receiver.url().removesuffix("/hook")
        url = f"{to}/p4th-secret?key=qu3ry-secret"
        task = await api("POST", "/tasks", {"prompt": "hello", "key": "k", "webhook": url}, who=RED)
        id_, waits = task["id"], task["webhook"]
        assert waits == {
            "to": to, "state": "waiting", "attempts": 0, "next_at": None, "done_at": None, "last_error": None,
        }  # fmt: skip
        assert f"webhook to {to}: when it has ended" in await explained(lw, id_)
        await finish(lw.store, await claim(lw.store, now=lw.clock.now()))
        hooks = Webhooks(lw)
        await hooks.look()
        await hooks.settled()
        again: dict[str, Any] = (await api("GET", f"/tasks/{id_}", who=RED))["webhook"]
        assert (again["state"], again["attempts"], again["last_error"]) == ("pending", 1, "HTTP 500")
        assert 5 <= again["next_at"] - lw.clock.now() <= 6
        assert "after 1 delivery: HTTP 500" in await explained(lw, id_)
        assert "after 1 delivery: HTTP 500" in await page(api, f"/tasks/{id_}", RED)
        lw.clock.advance(10)
        await hooks.look()
        await hooks.settled()
    told = await api("GET", f"/tasks/{id_}/explain", who=RED)
    shown = await page(api, f"/tasks/{id_}", RED)
    (one,) = told["webhooks"]
    assert (one["state"], one["attempts"], one["next_at"]) == ("delivered", 2, None)
    assert one["done_at"] == lw.clock.now()
    assert "Webhook delivered, 2 deliveries" in shown
    for said in (str(told), str(again), str(waits), shown, await explained(lw, id_)):
        assert to in said
        assert "secret" not in said, "path and query of an address are often its secret"
    with pytest.raises(Refused, match="404"):
        await api("GET", f"/tasks/{id_}", who=BLUE)
    assert to not in await page(api, f"/tasks/{id_}", BLUE)


async def test_the_latest_is_told_of_and_all_are_explained(lw: Laneway, api: Asker) -> None:
    task = {"prompt": "hello", "key": "k", "webhook": "http://127.0.0.1:1/a"}
    first = await api("POST", "/tasks", task)
    assert isinstance(lw.clock, ManualClock)
    lw.clock.advance(1)
    second = await api("POST", "/tasks", {**task, "webhook": "http://127.0.0.1:2/b"})
    assert (first["webhook"]["to"], second["webhook"]["to"]) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
    assert len((await api("GET", f"/tasks/{first['id']}/explain"))["webhooks"]) == 2
    assert (await api("POST", "/tasks", {"prompt": "hello"}))["webhook"] is None


async def test_what_was_given_up_says_why_and_is_only_text(lw: Laneway, api: Asker) -> None:
    run = await run_with(lw.store, [new("k")])
    id_ = (await lw.store.named(run, ["k"]))["k"][0]
    hook = Webhook("h", id_, "https://user:word@hooks.example/<i>?x", None, NOW)
    await lw.store.add_webhooks([hook], NOW)
    await finish(lw.store, await claim(lw.store))
    await lw.store.rouse_webhooks(None, NOW)
    (taken,) = await lw.store.claim_webhooks(NOW, NOW + 60, 1)
    await lw.store.settle_webhook(taken, taken._replace(next_at=None, done_at=NOW + 1, error="<script>no</script>"))
    task = await api("GET", f"/tasks/{id_}")
    assert (task["webhook"]["state"], task["webhook"]["to"]) == ("given_up", "https://hooks.example")
    assert "given up, 1 delivery: <script>no</script>" in await explained(lw, id_)
    shown = await page(api, f"/tasks/{id_}")
    assert "&lt;script&gt;no&lt;/script&gt;" in shown
    assert "<script>no" not in shown
    assert "word" not in str(task)
