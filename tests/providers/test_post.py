"""One POST over a kept connection, against a server that sends exactly the bytes that a test wants."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import chain, islice, repeat

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.providers import post
from laneway.providers.post import Answer, Poster

OK = b"HTTP/1.1 200 OK\r\nX-Request-Id: r1\r\nContent-Length: 4\r\n\r\ndone"


class Server:
    """Answers the nth request on any connection with the nth of ``pieces``, sent one after the other; b"" hangs up."""

    def __init__(self, *answers: Sequence[bytes]) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.lost = asyncio.Event()  # the client hung up
        self.url = ""
        self.serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:")
                self.requests.append(head + await reader.readexactly(length))
                for piece in self.answers.pop(0):
                    if not piece:
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # the client reads this piece by itself
        self.lost.set()


@asynccontextmanager
async def serving(*answers: Sequence[bytes]) -> AsyncIterator[Server]:
    server = Server(*answers)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1/chat"
        yield server
        await asyncio.gather(*server.serving)


@asynccontextmanager
async def posting(
    url: str, headers: Mapping[str, str] | None = None, proxy: str | None = None
) -> AsyncIterator[Poster]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        yield Poster(session, url, headers or {}, proxy)


async def ask(*pieces: bytes, timeout: float = 5) -> Answer:
    async with serving(pieces) as server, posting(server.url) as poster:
        return await poster.post(b"{}", timeout)


async def test_a_connection_is_kept_and_each_request_is_whole() -> None:
    async with serving([OK], [OK]) as server, posting(server.url, {"authorization": "Bearer k"}) as poster:
        for body in (b'{"n":1}', b'{"n":22}'):
            status, headers, answer = await poster.post(body, 5)
            assert (status, headers["x-request-id"], answer) == (200, "r1", b"done")
    assert server.connections == 1
    head, body = server.requests[1].split(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /v1/chat HTTP/1.1"
    assert {b"authorization: Bearer k", b"content-length: 8"} < set(lines)
    assert sum(line.lower().startswith(b"content-length") for line in lines) == 1
    assert sum(line.lower().startswith(b"host") for line in lines) == 1
    assert body == b'{"n":22}'


PACKED = gzip.compress(b"done" * 1000)
WHOLE = {
    "length": (OK, b"done"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ndo\r\n2\r\nne\r\n0\r\n\r\n", b"done"),
    "packed": (
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
        b"done" * 1000,
    ),
    "news before it": (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"done"),
    "nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
}


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(1, 200), max_size=4))
def test_however_an_answer_is_cut_on_its_way_it_is_the_same(kind: str, cuts: list[int]) -> None:
    said, body = WHOLE[kind]
    ends = sorted({min(cut, len(said)) for cut in cuts} | {len(said)})
    pieces = [said[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    answer = asyncio.run(ask(*pieces))
    assert (answer.status, answer.body) == (200, body)


async def test_an_answer_may_end_with_its_connection() -> None:
    answer = await ask(b"HTTP/1.1 200 OK\r\n\r\ndo", b"ne", b"")
    assert answer.body == b"done"


@pytest.mark.parametrize(
    "first",
    [
        OK.replace(b"X-Request-Id: r1", b"Connection: close"),
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged",  # more than was asked for
    ],
)
async def test_a_connection_that_cannot_be_trusted_is_not_used_again(first: bytes) -> None:
    async with serving([first], [OK]) as server, posting(server.url) as poster:
        assert [(await poster.post(b"{}", 5)).body for _ in range(2)] == [b"done", b"done"]
    assert server.connections == 2


@pytest.mark.parametrize(
    "pieces",
    [
        [b""],
        [OK[:-2], b""],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ndo\r\n", b""],
        [b"this is not HTTP\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\ndone"],
    ],
)
async def test_what_does_not_come_whole_is_an_error(pieces: list[bytes]) -> None:
    async with serving(pieces, [OK]) as server, posting(server.url) as poster:
        with pytest.raises((aiohttp.ClientError, OSError)):
            await poster.post(b"{}", 5)
        assert (await poster.post(b"{}", 5)).body == b"done"  # on a connection of its own
    assert server.connections == 2


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"x" * 9],
        [b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED), PACKED],
        chain([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], repeat(b"2\r\nxx\r\n")),  # without end
    ],
)
async def test_no_more_is_read_of_an_answer_than_the_bound(
    monkeypatch: pytest.MonkeyPatch, pieces: Iterable[bytes]
) -> None:
    monkeypatch.setattr(post, "LARGEST_ANSWER", 8)
    assert (await ask(*islice(pieces, 100_000), timeout=1)).body is None


async def test_after_its_time_the_connection_is_given_up() -> None:
    async with serving([OK[:-1]]) as server, posting(server.url) as poster:
        with pytest.raises(TimeoutError):
            await poster.post(b"{}", 0.05)
        await asyncio.wait_for(server.lost.wait(), 5)


async def test_a_redirect_is_an_answer() -> None:
    said = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
    assert (await ask(said)).status == 307


async def test_through_a_proxy_the_whole_address_is_asked_for() -> None:
    async with serving([OK]) as proxy, posting("http://api.example/v1/chat", {"x-api-key": "k"}, proxy.url) as poster:
        assert (await poster.post(b'{"n":1}', 5)).body == b"done"
    head, body = proxy.requests[0].split(b"\r\n\r\n")
    assert head.startswith(b"POST http://api.example/v1/chat HTTP/1.1\r\n")
    assert b"\r\nx-api-key: k\r\n" in head + b"\r\n"
    assert body == b'{"n":1}'


@pytest.mark.parametrize("value", ["k\r\nx-other: 1", "k\nx", "k\0"])
async def test_a_header_cannot_bring_another_one_along(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        async with posting("http://127.0.0.1:1/", {"x-api-key": value}):
            pass
