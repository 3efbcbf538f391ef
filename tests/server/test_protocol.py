"""What comes before a request is one: bounded in size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import uvicorn
from uvicorn.server import ServerState

from laneway.server import protocol

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
GET = b"GET /x HTTP/1.1\r\nHost: a\r\n"


async def say_ok(scope: object, receive: object, send: Callable[[dict[str, object]], Awaitable[None]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    config = uvicorn.Config(say_ok, log_config=None, lifespan="off")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol.BoundedHttp(config, ServerState(), {}), "127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []

    async def connected() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writers.append(writer)
        return reader, writer

    yield connected
    for writer in writers:
        writer.close()
    server.close()


async def answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b" ")[1] + await reader.readexactly(2)


async def test_a_head_without_end_is_cut_off(connect: Connect) -> None:
    reader, writer = await connect()
    writer.write(GET)
    sent = 0
    with suppress(ConnectionError):
        while sent < 100_000_000 and not reader.at_eof():
            writer.write(b"X-A: " + b"a" * 16_000 + b"\r\n")
            await writer.drain()
            sent += 16_000
    assert sent < 20_000_000, "what the sockets hold, and no more"


async def test_each_request_of_a_connection_has_a_head_of_its_own(connect: Connect) -> None:
    reader, writer = await connect()
    for _ in range(20):
        writer.write(GET + b"X-A: " + b"a" * 30_000 + b"\r\n\r\n")
        assert await answer(reader) == b"200ok"
    writer.write(GET + b"Content-Length: 900000\r\n\r\n" + b"b" * 900_000)
    assert await answer(reader) == b"200ok"


async def test_a_head_must_come_in_time(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.05)
    reader, writer = await connect()
    assert await reader.read() == b"", "nothing came"
    reader, writer = await connect()
    writer.write(GET)
    assert await reader.read() == b"", "not all came"
    reader, writer = await connect()
    writer.write(GET + b"\r\n")
    assert await answer(reader) == b"200ok"
    writer.write(GET)
    assert await reader.read() == b"", "nor of the second"
