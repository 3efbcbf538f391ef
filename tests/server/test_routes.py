"""Every route, asked by everybody: who is let in, and what of other teams they see.

What only reads shares one server; whatever may change something has one of its own, on a copy of the same store."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from starlette.routing import BaseRoute, Mount

from laneway.store.tokens import Role
from tests.server.door import Door
from tests.server.routes import BODIES, QUERIES, ROUTES, Listed
from tests.server.served import CHAT

pytestmark = pytest.mark.asyncio(loop_scope="module")  # that of the shared server

PATIENCE_S = 60.0
LATER_S = 60.0  # than the last of what was prepared
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
LISTS = ("/v1/files", "/v1/batches", "/v1/messages/batches", "/api/v1/tasks", "/api/v1/runs")


class Prepared(NamedTuple):
    """A store with a token for each of ``CALLERS``, and what the red ones have there, by the name routes give it."""

    folder: Path
    secrets: dict[str, str]
    red: dict[str, str]


@dataclass(frozen=True)
class Teams:
    """A server on such a store, and who asks it."""

    door: Door
    clients: dict[str, httpx.AsyncClient]
    red: dict[str, str]

    async def ask(self, who: str, listed: Listed) -> httpx.Response:
        path = listed.path.replace(":path", "")
        owned = {**self.red, "batch_id": self.red["msgbatch_id" if "/messages/" in path else "batch_id"]}
        path = path.format(**{"name": "small", **owned})
        body = BODIES.get(f"{listed.method} {listed.path}", {})
        sent: dict[str, Any] = {} if listed.method in ("GET", "DELETE") else {"json": body}
        if sent and path.startswith("/ui/"):
            sent = {"content": "", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
        query = QUERIES.get(f"{listed.method} {listed.path}")
        asked = self.clients[who].request(listed.method, path, params=query, **sent)
        return await asyncio.wait_for(asked, PATIENCE_S)

    async def told(self) -> list[str]:
        """All that red has there, in its own eyes."""
        return [(await self.clients["red operate"].get(path)).text for path in LISTS]


async def prepare(folder: Path) -> Prepared:
    door = Door(folder)
    secrets = {name: await door.token(name.replace(" ", "-"), *whose) for name, whose in CALLERS.items()}
    red = door.client(secrets["red submit"])
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
    await door.close()
    owned = {
        "ref": str(task["id"]),
        "run_id": str(task["run_id"]),
        "file_id": upload["id"],
        "batch_id": batch.json()["id"],
        "msgbatch_id": messages.json()["id"],
    }
    return Prepared(folder, secrets, owned)


@asynccontextmanager
async def opened(prepared: Prepared, folder: Path) -> AsyncIterator[Teams]:
    """A server on a copy of what was prepared."""
    shutil.copytree(prepared.folder, folder, dirs_exist_ok=True)
    door = Door(folder)
    door.clock.advance(LATER_S)
    door.ending.set()
    clients = {name: door.client(secret) for name, secret in prepared.secrets.items()}
    try:
        yield Teams(door, {"nobody": door.client(), **clients}, prepared.red)
    finally:
        await door.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return await prepare(tmp_path_factory.mktemp("prepared"))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def readers(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Teams]:
    """Of the server that is shared: nobody changes anything at it."""
    async with opened(prepared, tmp_path_factory.mktemp("readers")) as made:
        before = await made.told()
        yield made
        assert await made.told() == before, "a route that should only read has changed what red has"
        assert not await made.door.lw.store.deeds(None, 9)


@pytest_asyncio.fixture(loop_scope="module")
async def teams(prepared: Prepared, tmp_path: Path) -> AsyncIterator[Teams]:
    """Of a server of the test's own."""
    async with opened(prepared, tmp_path) as made:
        yield made


@pytest.fixture
def askers(listed: Listed, request: pytest.FixtureRequest) -> Teams:
    made: Teams = request.getfixturevalue("readers" if listed.method == "GET" else "teams")
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


async def test_each_route_is_listed_with_who_may_ask_it(readers: Teams) -> None:
    listed = sorted(f"{one.method} {one.path}" for one in ROUTES)
    assert sorted(served(readers.door.app.routes)) == listed, "say in tests/server/routes.py who may ask it"


@pytest.mark.parametrize("listed", ROUTES, ids=" ".join)
async def test_nobody_else_is_let_in(askers: Teams, listed: Listed) -> None:
    for who in ("nobody", *CALLERS):
        answer = await askers.ask(who, listed)
        turned_away = answer.status_code in (401, 403) or answer.headers.get("location", "").startswith("/login")
        if listed.path in ("/login", "/logout"):
            turned_away = False  # they send one there themselves
        assert turned_away == (who not in MAY[listed.who]), f"{who}: {answer.status_code} {answer.text}"
        if turned_away and who != "nobody":
            assert answer.status_code == 403


OWNED = [one for one in ROUTES if any(f"{{{name}}}" in one.path for name in ("ref", "run_id", "file_id", "batch_id"))]


@pytest.mark.parametrize("listed", OWNED, ids=" ".join)
async def test_what_is_another_teams_is_not_there(askers: Teams, listed: Listed) -> None:
    for who in ("blue submit", "blue operate", "submit"):
        if who in MAY[listed.who]:
            answer = await askers.ask(who, listed)
            assert answer.status_code == 404, f"{who}: {answer.status_code} {answer.text}"
            assert CANARY not in answer.text
    mine = await askers.ask("red operate", listed)
    results_to_come = mine.status_code == 404 and "has not ended" in mine.text
    assert mine.status_code != 404 or results_to_come, mine.text


@pytest.mark.parametrize("listed", [one for one in ROUTES if one.method == "GET" and one not in OWNED], ids=" ".join)
async def test_lists_and_figures_tell_nothing_of_another_team(readers: Teams, listed: Listed) -> None:
    ids = [readers.red[name] for name in ("file_id", "batch_id", "msgbatch_id")]
    for who in ("nobody", "blue submit", "blue operate", "submit"):
        answer = await readers.ask(who, listed)
        for word in (CANARY, *ids):
            assert word not in answer.text, f"{who} sees {word}"


async def test_each_team_sees_its_own_and_operators_of_none_see_all(readers: Teams) -> None:
    for path in LISTS:
        for who in ("red submit", "red operate", "operate", "blue submit"):
            found = {str(one["id"]) for one in (await readers.clients[who].get(path)).json()["data"]}
            assert found.isdisjoint(readers.red.values()) == (who == "blue submit"), f"{who} at {path}"


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
