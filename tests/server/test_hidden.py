"""``hide_content`` of the server: pages and lists show neither prompts nor answers; who asked gets the answer."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import Desk
from tests.server.routes import ROUTES
from tests.server.served import CHAT, CONFIG, Serve, Served, Simulate

PROMPT = "pr0mpt-c4nary"
STREAMS = {"/ui/changes", "/api/v1/events", "/api/v1/tasks/{ref}/events"}


def looked_at(served: Served, names: dict[str, str]) -> dict[str, str]:
    """All GET routes that are pages or lists."""
    told = {}
    root = served.url
    served.url = root.removesuffix("/v1")
    for route in ROUTES:
        if route.method == "GET" and route.path not in STREAMS and not route.path.startswith("/v1"):
            told[route.path] = str(served.ask(re.sub(r":(int|path)}", "}", route.path).format_map(names)))
    served.url = root
    return told


@pytest.mark.parametrize("hidden", [True, False])
def test_pages_and_lists_show_neither_prompts_nor_answers(
    desk: Desk, serve: Serve, simulate: Simulate, hidden: bool
) -> None:
    simulate()
    desk.write("laneway.toml", f"{CONFIG}[server]\nhide_content = {json.dumps(hidden)}\n")
    served = serve()
    call = {**CHAT, "messages": [{"role": "user", "content": PROMPT}]}
    status, answer, headers = served.ask("/chat/completions", call, Idempotency_Key="k")
    assert status == 200
    text = answer["choices"][0]["message"]["content"]
    names = {"ref": headers["x-laneway-task"], "run_id": "1", "name": "small", "id": headers["x-laneway-task"]}
    told = looked_at(served, names)
    own = {"/api/v1/tasks/{ref}", "/api/v1/tasks/{ref}/wait"}  # this is who asked
    for path in own:
        assert text in told[path]
    shown = {path for path, said in told.items() if path not in own and (PROMPT in said or text in said)}
    assert bool(shown) != hidden, shown
    served.url = served.url.removesuffix("/v1")
    lines = served.ask("/api/v1/runs/1/results", Accept="application/x-ndjson")[1]
    assert text in str(lines), "what is taken away is whole"
