"""Tokens: who is let in, as whom, and what they may ask for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest

from laneway.server.tokens.book import HOLDS_S
from laneway.server.tokens.secrets import digest_of, new_secret
from laneway.store.tokens import Token
from laneway.task import Urgency
from tests.conftest import Desk
from tests.server.door import Door
from tests.server.served import CHAT, CONFIG

OpenDoor = Callable[..., Door]
DONE_BY_NOBODY = (503, None)  # accepted, and no worker is there


async def submitted(client: httpx.AsyncClient, **headers: str) -> tuple[int, str | None]:
    """(status, code of the error) of a call that nobody does."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = await client.post("/v1/chat/completions", json=CHAT, headers=named)
    return answer.status_code, answer.json()["error"]["code"]


async def test_without_tokens_everybody_on_this_machine_may_do_everything(door: Door) -> None:
    for client in (door.client(), door.client("whatever"), door.client(X_Api_Key="x")):
        assert (await client.get("/v1/models")).status_code == 200


async def test_the_first_token_shuts_the_door_within_seconds(door: Door) -> None:
    anybody = door.client()
    assert (await anybody.get("/v1/models")).status_code == 200
    secret = await door.token("ann")
    door.clock.advance(HOLDS_S)
    assert (await anybody.get("/v1/models")).status_code == 401
    assert (await door.client(secret).get("/v1/models")).status_code == 200
    assert (await door.client(X_Api_Key=secret).get("/v1/models")).status_code == 200
    assert (await anybody.get("/health")).status_code == 200


async def test_a_revoked_token_is_out_within_five_seconds_and_costs_no_query_until_then(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = door.client(await door.token("ann"))
    assert (await client.get("/v1/models")).status_code == 200
    store, looks = door.lw.store, 0
    tokens = store.tokens

    async def counted(*, revoked: bool = False) -> list[Token]:
        nonlocal looks
        looks += 1
        return await tokens(revoked=revoked)

    monkeypatch.setattr(store, "tokens", counted)
    for _ in range(50):
        assert (await client.get("/v1/models")).status_code == 200
    assert looks == 0
    await store.revoke_token("ann", door.clock.now())
    answers = []
    for _ in range(5):
        door.clock.advance(1)
        answers.append((await client.get("/v1/models")).status_code)
        await asyncio.sleep(0)  # the look that a request begins goes on beside it
    assert answers[-1] == 401
    assert looks <= 3


async def test_no_token_at_all_is_better_than_a_wrong_one(open_door: OpenDoor) -> None:
    door = open_door(own="secret-of-the-environment")
    ann = await door.token("ann")
    for given in ("", "lw_", ann[:-1], ann + "x", "secret", "\u00e9", digest_of(ann).hex()):
        answer = await door.client().get("/v1/models", headers=[(b"x-api-key", given.encode())])
        assert answer.status_code == 401
    assert (await door.client(ann).get("/v1/models")).status_code == 200


async def test_guessing_at_the_environments_token_is_slow_and_locks_out_no_other(
    open_door: OpenDoor,
) -> None:
    door = open_door(own="hunter2")
    ann = door.client(await door.token("ann"))
    guesses = [(await door.client(f"hunter{n}").get("/v1/models")).status_code for n in range(3, 16)]
    assert guesses == [401] * 10 + [429] * 3
    assert (await door.client("hunter2").get("/v1/models")).status_code == 429, "right, but who knows"
    assert (await ann.get("/v1/models")).status_code == 200
    door.clock.advance(6)
    assert (await door.client("hunter2").get("/v1/models")).status_code == 200


async def test_a_lane_that_is_not_the_tokens_is_refused(door: Door) -> None:
    client = door.client(await door.token("ann", lanes=frozenset({"night", "general"})))
    assert await submitted(client, X_Laneway_Lane="night") == DONE_BY_NOBODY
    assert await submitted(client, X_Laneway_Lane="legal") == (403, "lane")
    body = {**CHAT, "metadata": {"team_of": "legal"}}  # a rule takes it there
    refused = await client.post("/v1/chat/completions", json=body)
    assert refused.status_code == 403
    assert "its lanes: general, night" in refused.json()["error"]["message"]


async def test_an_urgency_above_the_tokens_is_refused_and_the_usual_one_lowered(door: Door) -> None:
    client = door.client(await door.token("ann", highest=Urgency.STANDARD))
    assert await submitted(client, X_Laneway_Urgency="urgent") == (403, "urgency")
    assert await submitted(client, X_Laneway_Urgency="relaxed", Idempotency_Key="a") == DONE_BY_NOBODY
    assert await submitted(client, Idempotency_Key="b") == DONE_BY_NOBODY
    relaxed, lowered = await door.lw.store.find_task("a"), await door.lw.store.find_task("b")
    assert relaxed.route.urgency is Urgency.RELAXED
    assert lowered.route.urgency is Urgency.STANDARD
    assert lowered.route.reasons["urgency"] == "the highest of the token ann"


async def test_a_batch_is_bound_as_its_calls_are(door: Door) -> None:
    client = door.client(await door.token("ann", lanes=frozenset({"night"}), highest=Urgency.RELAXED))
    requests = [{"custom_id": "a", "params": {"model": "small", "max_tokens": 9, "messages": CHAT["messages"]}}]
    headers = {"anthropic-version": "2023-06-01"}
    for name, value, status in (
        ("X-Laneway-Lane", "legal", 403),
        ("X-Laneway-Urgency", "standard", 403),
        ("X-Laneway-Lane", "night", 200),
    ):
        answer = await client.post(
            "/v1/messages/batches", json={"requests": requests}, headers={**headers, name: value}
        )
        assert answer.status_code == status, answer.text
    assert len(await door.lw.store.runs()) == 1, "what was refused left nothing"


def test_a_token_is_made_shown_once_listed_and_revoked(desk: Desk) -> None:
    desk.write("laneway.toml", CONFIG + '[urgency.urgent]\naliases = ["P1"]\n')
    made = desk.run(
        "token", "create", "alice", "--team", "legal", "--lanes", "a, b", "--urgency", "P1", "--daily-budget", "5"
    )
    secret = made.out.strip()
    assert secret.startswith("lw_")
    assert len(secret) >= 43
    listed = desk.run("token", "list")
    assert listed.out.startswith(
        "alice                submit, team legal, lanes a, b, up to urgent, $5.00 a day, since "
    )
    assert secret not in listed.out
    for file in (desk.folder / ".laneway").iterdir():
        assert secret.encode() not in file.read_bytes(), file
    assert desk.run("token", "create", "alice", "--json").json["error"]["kind"] == "conflict"
    assert desk.run("token", "create", "no/slash", "--json").json["error"]["kind"] == "usage"
    assert desk.run("token", "create", "x", "--role", "root", "--json").json["error"]["kind"] == "usage"
    assert desk.run("token", "revoke", "alice", "--json").json == {"revoked": "alice"}
    assert desk.run("token", "revoke", "alice", "--json").json["error"]["kind"] == "not_found"
    assert desk.run("token", "list").out.startswith("no tokens")
    assert desk.run("token", "list", "--all", "--json").json["tokens"][0]["name"] == "alice"


def test_no_two_secrets_are_alike() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert json.dumps(sorted(made)).isascii()
