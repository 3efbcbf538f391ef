"""Every route, asked by everybody: who is let in, and what of other teams they see."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Mount

from laneway.store.tokens import Role
from tests.server.door import Door
from tests.server.routes import BODIES, ROUTES, Listed
from tests.server.served import CHAT

STREAMED = 299  # the answer goes on and on: it was begun
CALLERS = {
    "submit": (Role.SUBMIT, None),
    "operate": (Role.OPERATE, None),
    "red submit": (Role.SUBMIT, "red"),
    "red operate": (Role.OPERATE, "red"),
    "blue submit": (Role.SUBMIT, "blue"),
    "blue operate": (Role.OPERATE, "blue"),
}
MAY = {
    "open": {"nobody", *CALLERS},
    "asking": set(CALLERS),
    "operate": {"operate", "red operate", "blue operate"},
    "steer": {"operate"},
}
CANARY = "RED-CANARY"


@dataclass
class Teams:
    """A server with a token for each of ``CALLERS``, and what the red ones have there, by the name routes give it."""

    door: Door
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)
    red: dict[str, str] = field(default_factory=dict)

    async def ask(self, who: str, listed: Listed) -> httpx.Response:
        path = listed.path.replace(":path", "")
        owned = {**self.red, "batch_id": self.red["msgbatch_id" if "/messages/" in path else "batch_id"]}
        path = path.format(**{"name": "small", **owned})
        body = BODIES.get(f"{listed.method} {listed.path}", {})
        sent: dict[str, Any] = {} if listed.method in ("GET", "DELETE") else {"json": body}
        if sent and path.startswith("/ui/"):
            sent = {"content": "", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
        asked = self.clients[who].request(listed.method, path, **sent)
        try:
            return await asyncio.wait_for(asked, 2)
        except TimeoutError:
            return httpx.Response(STREAMED)


@pytest.fixture
async def teams(door: Door) -> Teams:
    made = Teams(door, {"nobody": door.client()})
    door.ending.set()
    for name, (role, team) in CALLERS.items():
        made.clients[name] = door.client(await door.token(name.replace(" ", "-"), role, team))
    red = made.clients["red submit"]
    task = (await red.post("/api/v1/tasks", json={"prompt": CANARY, "key": f"{CANARY}-key", "tags": [CANARY]})).json()
    file = b'{"custom_id": "r", "method": "POST", "url": "/v1/chat/completions", "body": %s}' % (
        b'{"model": "small", "messages": [{"role": "user", "content": "RED-CANARY"}]}'
    )
    upload = (await red.post("/v1/files", files={"file": (f"{CANARY}.jsonl", file)}, data={"purpose": "batch"})).json()
    batch = await red.post(
        "/v1/batches",
        json={
            "input_file_id": upload["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {"note": CANARY},
        },
    )
    params = {"model": "small", "max_tokens": 9, "messages": CHAT["messages"]}
    messages = await red.post("/v1/messages/batches", json={"requests": [{"custom_id": CANARY, "params": params}]})
    made.red = {
        "ref": str(task["id"]),
        "run_id": str(task["run_id"]),
        "file_id": upload["id"],
        "batch_id": batch.json()["id"],
        "msgbatch_id": messages.json()["id"],
    }
    return made


def served(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount):
            yield from served(route.routes, prefix + route.path)
        elif (router := getattr(route, "original_router", None)) is not None:
            yield from served(router.routes, prefix)
        else:
            for method in getattr(route, "methods", None) or ():
                if method != "HEAD":
                    yield f"{method} {prefix}{getattr(route, 'path', '')}"


def test_each_route_is_listed_with_who_may_ask_it(door: Door) -> None:
    listed = sorted(f"{one.method} {one.path}" for one in ROUTES)
    assert sorted(served(door.app.routes)) == listed, "say in tests/server/routes.py who may ask it"


@pytest.mark.parametrize("listed", ROUTES, ids=" ".join)
async def test_nobody_else_is_let_in(teams: Teams, listed: Listed) -> None:
    for who in ("nobody", *CALLERS):
        answer = await teams.ask(who, listed)
        turned_away = answer.status_code in (401, 403) or answer.headers.get("location", "").startswith("/login")
        if listed.path in ("/login", "/logout"):
            turned_away = False  # they send one there themselves
        assert turned_away == (who not in MAY[listed.who]), f"{who}: {answer.status_code} {answer.text}"
        if turned_away and who != "nobody":
            assert answer.status_code == 403


OWNED = [one for one in ROUTES if any(f"{{{name}}}" in one.path for name in ("ref", "run_id", "file_id", "batch_id"))]


@pytest.mark.parametrize("listed", OWNED, ids=" ".join)
async def test_what_is_another_teams_is_not_there(teams: Teams, listed: Listed) -> None:
    for who in ("blue submit", "blue operate", "submit"):
        if who in MAY[listed.who]:
            answer = await teams.ask(who, listed)
            assert answer.status_code == 404, f"{who}: {answer.status_code} {answer.text}"
            assert CANARY not in answer.text
    mine = await teams.ask("red operate", listed)
    results_to_come = mine.status_code == 404 and "has not ended" in mine.text
    assert mine.status_code != 404 or results_to_come, mine.text


@pytest.mark.parametrize("listed", [one for one in ROUTES if one.method == "GET" and one not in OWNED], ids=" ".join)
async def test_lists_and_figures_tell_nothing_of_another_team(teams: Teams, listed: Listed) -> None:
    ids = [teams.red[name] for name in ("file_id", "batch_id", "msgbatch_id")]
    for who in ("nobody", "blue submit", "blue operate", "submit"):
        answer = await teams.ask(who, listed)
        for word in (CANARY, *ids):
            assert word not in answer.text, f"{who} sees {word}"


async def test_each_team_sees_its_own_and_operators_of_none_see_all(teams: Teams) -> None:
    for path in ("/v1/files", "/v1/batches", "/v1/messages/batches", "/api/v1/tasks", "/api/v1/runs"):
        for who in ("red submit", "red operate", "operate", "blue submit"):
            found = {str(one["id"]) for one in (await teams.clients[who].get(path)).json()["data"]}
            assert found.isdisjoint(teams.red.values()) == (who == "blue submit"), f"{who} at {path}"


async def test_a_key_is_a_teams_own(teams: Teams) -> None:
    red, blue = teams.clients["red submit"], teams.clients["blue submit"]
    body = {"prompt": "something else", "key": f"{CANARY}-key"}
    assert (await red.post("/api/v1/tasks", json=body)).status_code == 409
    taken = await blue.post("/api/v1/tasks", json=body)
    assert taken.status_code == 201
    assert (await blue.get(f"/api/v1/tasks/{CANARY}-key")).json()["id"] == taken.json()["id"]


async def test_what_was_done_is_told_of_the_one_who_did_it(teams: Teams) -> None:
    await teams.clients["red submit"].post(f"/api/v1/tasks/{teams.red['ref']}/cancel")
    await teams.clients["operate"].post("/api/v1/accounts/main/pause")
    told = [(deed.who, deed.team, deed.action) for deed in await teams.door.lw.store.deeds(None, 9)]
    assert told[:2] == [("operate", None, "account.pause"), ("red-submit", "red", "task.cancel")]
