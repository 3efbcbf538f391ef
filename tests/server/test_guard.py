"""What is refused at the door, and what every answer says to browsers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from laneway.errors import UsageError
from laneway.server.access import access
from laneway.server.rates import Rates
from laneway.store.tokens import Role
from tests.server.door import Door
from tests.server.served import CHAT, CONFIG

OpenDoor = Callable[..., Door]


async def test_a_page_of_another_site_changes_nothing(door: Door) -> None:
    """Without tokens as well: whoever opens it sits in front of this machine."""
    client = door.client()
    for site, status in {"cross-site": 403, "same-site": 403, "none": 404, "same-origin": 404}.items():
        answer = await client.delete("/v1/files/f", headers={"Sec-Fetch-Site": site})
        assert answer.status_code == status, site
    assert (await client.get("/v1/models", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200
    assert (await client.delete("/v1/files/f", headers={"Origin": "null"})).status_code == 403


async def test_what_is_too_large_or_ambiguous_is_refused(door: Door) -> None:
    client = door.client()
    assert (await client.get("/v1/models?x=" + "a" * 17_000)).status_code == 414
    assert (await client.get("/v1/models", headers={"X-Long": "a" * 70_000})).status_code == 431
    assert (await client.get("/v1/models", headers={f"X-{n}": "a" for n in range(120)})).status_code == 431
    hosts = [("Host", "127.0.0.1"), ("Host", "evil.example")]
    assert (await client.get("/v1/models", headers=hosts)).status_code == 400
    for length in (b"\xb2", b"-1", b"1_0", b"100001"):
        refused = await client.post("/v1/embeddings", headers=[(b"Content-Length", length)])
        assert refused.status_code == 413, length


async def test_every_answer_is_locked_down(door: Door) -> None:
    client = door.client()
    for path in ("/v1/models", "/health", "/nothing", "/login?next=//evil"):
        answer = await client.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers.get_list("content-security-policy") == [
            "default-src 'none'; frame-ancestors 'none'; sandbox"
        ]
    refused = await client.get("/v1/models", headers={"Host": "evil.example"})
    assert (refused.status_code, refused.headers["x-frame-options"]) == (403, "DENY")


async def test_a_page_loads_and_runs_what_is_ours_only(open_door: OpenDoor) -> None:
    answer = await open_door(own="s" * 20).client().get("/login")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';" in policy
    assert "frame-ancestors 'none'; base-uri 'none'" in policy
    assert "unsafe" not in policy


async def test_each_caller_has_so_many_requests_a_minute(open_door: OpenDoor) -> None:
    door = open_door(CONFIG + "[server]\nrequests_per_minute = 3\n")
    ann, ben = door.client(await door.token("ann")), door.client(await door.token("ben"))
    assert [(await ann.get("/v1/models")).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = await ann.post("/v1/chat/completions", json=CHAT)
    assert refused.json()["error"]["code"] == "rate_limit"
    assert int(refused.headers["retry-after"]) == 20
    assert "x-should-retry" not in refused.headers
    assert (await ben.get("/v1/models")).status_code == 200, "each has its own"
    door.clock.advance(20)
    assert [(await ann.get("/v1/models")).status_code for _ in range(2)] == [200, 429]


def test_a_minute_is_spread_and_not_saved_up() -> None:
    rates = Rates(6)
    assert [rates.take("a", 0.0) for _ in range(7)] == [0.0] * 6 + [10.0]
    assert rates.take("a", 10.0) == 0.0
    assert [rates.take("a", 10_000.0) for _ in range(7)] == [0.0] * 6 + [10.0]
    assert rates.wait("b", 0.0) == 0.0


def test_who_asks_much_is_not_forgotten_for_others() -> None:
    rates = Rates(1)
    rates.take("a", 0.0)
    for other in range(20_000):
        rates.take(f"x{other}", 30.0 if other % 2 else -60.0)
    assert rates.take("a", 31.0) > 0 or len(rates._levels) <= 10_000


def test_addresses_that_others_reach_need_a_token_of_either_kind() -> None:
    with pytest.raises(UsageError, match="no token"):
        access("0.0.0.0", None, [])
    assert access("0.0.0.0", None, [], tokens=True).opened
    assert access("0.0.0.0", "secret", []).hosts is None
    assert access("0.0.0.0", "secret", ["Desk.example"]).hosts == frozenset({"desk.example", "0.0.0.0"})
    assert not access("::1", None, []).opened


async def test_a_server_that_others_reach_stays_shut_when_its_last_token_is_revoked(open_door: OpenDoor) -> None:
    door = open_door(host="0.0.0.0", tokens=True)
    ann = door.client(await door.token("ann", Role.OPERATE))
    assert (await ann.get("/v1/models")).status_code == 200
    await door.lw.store.revoke_token("ann", door.clock.now())
    door.clock.advance(5)
    for client in (ann, door.client(), door.client("lw_wrong")):
        assert (await client.get("/v1/models")).status_code == 401
