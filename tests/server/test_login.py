"""Logging in with a browser: a session of its own, which ends when it should."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from laneway.server.tokens.sessions import COOKIE
from laneway.store.tokens import Role
from tests.server.door import Door
from tests.server.served import CONFIG

OpenDoor = Callable[..., Door]
HERE = {"Sec-Fetch-Site": "same-origin"}


async def log_in(client: httpx.AsyncClient, token: str, place: str = "/lanes") -> httpx.Response:
    return await client.post("/login", data={"token": token, "next": place}, headers=HERE)


async def test_a_token_is_exchanged_for_a_session_that_is_none(door: Door) -> None:
    secret, browser = await door.token("ann", Role.OPERATE), door.client()
    answer = await log_in(browser, secret)
    assert (answer.status_code, answer.headers["location"]) == (303, "/lanes")
    said = answer.headers["set-cookie"]
    assert "HttpOnly" in said
    assert "SameSite=strict" in said
    assert "Max-Age=43200" in said
    assert secret not in said
    held = browser.cookies[COOKIE]
    assert (await browser.get("/v1/models")).status_code == 200
    assert (await door.client().get("/v1/models")).status_code == 401
    for state in await door.lw.store.states("session:"):
        assert held not in state
    assert [deed.action for deed in await door.lw.store.deeds(None, 9)] == ["login"]


async def test_every_server_of_the_store_knows_it_and_a_restart_forgets_nobody(open_door: OpenDoor, door: Door) -> None:
    browser = door.client()
    await log_in(browser, await door.token("ann"))
    other = open_door()
    other.clock.advance(10)
    assert (await other.client(Cookie=f"{COOKIE}={browser.cookies[COOKIE]}").get("/v1/models")).status_code == 200


async def test_it_ends_with_logout_with_its_time_and_with_its_token(door: Door) -> None:
    secret, ben = await door.token("ann"), await door.token("ben")
    browsers = [door.client() for _ in range(3)]
    for browser in browsers:
        await log_in(browser, ben if browser is browsers[2] else secret)
    held = browsers[0].cookies[COOKIE]
    answer = await browsers[0].post("/logout", headers=HERE)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert COOKIE not in browsers[0].cookies
    assert (await door.client(Cookie=f"{COOKIE}={held}").get("/v1/models")).status_code == 401
    assert (await browsers[1].get("/v1/models")).status_code == 200, "another session of the same token"
    await door.lw.store.revoke_token("ann", door.clock.now())
    door.clock.advance(5)
    assert (await browsers[1].get("/v1/models")).status_code == 401
    assert (await browsers[2].get("/v1/models")).status_code == 200
    door.clock.advance(43_200)
    assert (await browsers[2].get("/v1/models")).status_code == 401


async def test_another_environments_token_does_not_take_over_sessions(open_door: OpenDoor) -> None:
    browser = open_door(own="first").client()
    assert (await log_in(browser, "first")).status_code == 303
    cookie = f"{COOKIE}={browser.cookies[COOKIE]}"
    assert (await open_door(own="first").client(Cookie=cookie).get("/v1/models")).status_code == 200
    assert (await open_door(own="second").client(Cookie=cookie).get("/v1/models")).status_code == 401


async def test_what_a_session_changes_comes_from_its_own_pages_only(door: Door) -> None:
    browser = door.client()
    await log_in(browser, await door.token("ann"))
    own, foreign = {"Origin": "http://127.0.0.1:8080"}, {"Origin": "http://127.0.0.1:3000"}
    for headers, status in (
        (HERE, 404),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({}, 403),
        (own, 404),
        (foreign, 403),
        ({**HERE, **own}, 404),
    ):
        assert (await browser.delete("/v1/files/f", headers=headers)).status_code == status, headers


async def test_wrong_ones_are_said_and_slowed_down(open_door: OpenDoor) -> None:
    door = open_door(own="hunter2")
    browser = door.client()
    answers = [await log_in(browser, "hunter1", '/"><script>') for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert answers[0].headers["content-type"].startswith("text/html")
    assert "<script>" not in answers[0].text
    assert "a wrong token" in answers[0].text
    assert int(answers[-1].headers["retry-after"]) == 6
    assert (await log_in(browser, "hunter2")).status_code == 429
    assert COOKIE not in browser.cookies
    assert (await browser.post("/login", content=b"x" * 9000, headers=HERE)).status_code == 413
    refused = await browser.post("/login", data={"token": "hunter2"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 403, "nobody is logged in by another site"


async def test_a_browser_is_shown_where_to_log_in_and_a_program_is_told(open_door: OpenDoor) -> None:
    client = open_door(own="s" * 20).client()
    answer = await client.get("/lanes?x=1&y=a b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/lanes%3Fx%3D1%26y%3Da%2520b")
    part = await client.get("/ui/lanes/live", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login")
    assert (await client.get("/v1/models")).status_code == 401
    assert (await client.post("/lanes/x/pause")).headers["location"] == "/login"


async def test_nobody_is_sent_on_to_another_site(open_door: OpenDoor) -> None:
    door = open_door(CONFIG, own="s" * 20)
    for place in ("https://evil.example", "//evil.example", "/\\evil.example", "/a\r\nX: y", "evil", "/x\\..\\y"):
        answer = await log_in(door.client(), "s" * 20, place)
        assert answer.headers["location"] == "/", place


async def test_without_tokens_there_is_nothing_to_log_in_to(door: Door) -> None:
    answer = await door.client().get("/login?next=/lanes")
    assert (answer.status_code, answer.headers["location"]) == (303, "/lanes")
