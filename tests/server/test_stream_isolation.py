"""What ends is told to the team whose it is, and to no other, for as long as the stream goes on."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from tests.conftest import Desk
from tests.server.served import CHAT, CONFIG, Serve, Simulate


def test_a_teams_events_tell_nothing_of_another(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.write("laneway.toml", CONFIG)
    red, blue = (desk.run("token", "create", team, "--team", team, "--json").json["token"] for team in ("red", "blue"))
    served = serve()
    where = urlsplit(served.url)
    listening = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    listening.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {blue}"})
    events = listening.getresponse()
    assert events.status == 200
    assert events.readline(), "it listens"
    for token, key in ((red, "red-key"), (blue, "blue-key")):
        status, said, _ = served.ask(
            "/chat/completions", CHAT, Authorization=f"Bearer {token}", Idempotency_Key=key, X_Laneway_Tags=key
        )
        assert status == 200, said
    told = b""
    while b"blue-key" not in told:
        told += events.readline()
    assert b"red-key" not in told
    listening.close()
