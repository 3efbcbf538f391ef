"""A simulator in the test's own loop, on a real socket, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from laneway.simulator.options import Options
from laneway.simulator.server import listening


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    json: Any


@dataclass(frozen=True)
class Client:
    session: aiohttp.ClientSession
    url: str  # with /v1

    async def post(self, path: str, body: Any, key: str = "", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            named["authorization"] = f"Bearer {key}"
        sent = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with self.session.post(self.url + path, headers=named, **sent) as response:
            return Answer(response.status, response.headers, await response.json())

    async def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(self.url + path, headers=named) as response:
            return Answer(response.status, response.headers, await response.json())

    async def chat(self, text: str = "hello", key: str = "", **body: Any) -> Answer:
        return await self.post("/chat/completions", chat_body(text, **body), key)

    async def messages(self, text: str = "hello", **body: Any) -> Answer:
        return await self.post("/messages", {"max_tokens": 100, **chat_body(text, **body)})

    async def stream(self, path: str, body: Any) -> list[tuple[str, str]]:
        """The (event, data) pairs of a stream, as they stand."""
        async with self.session.post(self.url + path, json={**body, "stream": True}) as response:
            assert response.content_type == "text/event-stream"
            events = []
            for block in (await response.text()).strip().split("\n\n"):
                lines = dict(line.split(": ", 1) for line in block.split("\n"))
                events.append((lines.get("event", ""), lines["data"]))
            return events

    async def stats(self) -> Any:
        return (await self.get("/stats")).json

    async def control(self, **options: Any) -> Answer:
        return await self.post("/control", options)


def chat_body(text: str = "hello", **body: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **body}


@asynccontextmanager
async def simulated(**options: Any) -> AsyncIterator[Client]:
    """A client of a simulator with these options, at latency 0 where they say nothing else."""
    made = Options()
    made.change({"latency": 0, **options})
    connector = aiohttp.TCPConnector(limit=0)
    async with listening(made, "127.0.0.1", 0) as url, aiohttp.ClientSession(connector=connector) as session:
        yield Client(session, url)
