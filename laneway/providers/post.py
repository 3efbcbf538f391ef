"""POSTs to one URL over aiohttp's connections, for half of what its session takes for a request.

The session makes a request, headers, a response, timers and a task for each call, all alike here but for the body. Its
connector (keep-alive, TLS, several addresses) and its parser are used as they are; the head and the timeout are ours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

LARGEST_ANSWER = 64_000_000  # bytes, unpacked
READ_BUFFER = 2**18  # bytes
_NO_LIMIT = aiohttp.ClientTimeout(total=None)


Heard = Callable[[bytes], None]


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # case-insensitive
    body: bytes | None  # None: beyond bounds


class Poster:
    """To be used inside the session's context."""

    def __init__(self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], proxy: str | None) -> None:
        """Raises ValueError for a URL or a header that cannot be sent."""
        self._session = session
        self._proxy = proxy
        self._request = aiohttp.ClientRequest(
            "POST", URL(url), headers=headers, loop=asyncio.get_running_loop(), session=session
        )
        if self._request.url.raw_user and any(name.lower() == "authorization" for name in headers):
            raise ValueError("the address has a user in it, and there is a key")
        self._request.headers.pop("content-length", None)
        lines = [": ".join(header) for header in self._request.headers.items()]
        if any(char in line for char in "\r\n\0" for line in lines):
            raise ValueError("a header has a line break in it")
        start = f"POST {self._request.url.raw_path_qs} HTTP/1.1"
        self._head = "\r\n".join([start, *lines, "content-length: "]).encode()

    async def post(self, body: bytes, timeout: float, heard: Heard | None = None) -> Answer:
        """Redirects are answers. ``heard`` gets each piece of a stream of events as it comes. Raises TimeoutError after
        ``timeout`` seconds, aiohttp.ClientError or OSError when no answer comes, aiohttp.ClientConnectorError when none
        was asked for."""
        async with asyncio.timeout(timeout):
            if self._proxy is None:
                return await self._post(body, heard)
            return await self._through_proxy(body, self._proxy, heard)

    async def _post(self, body: bytes, heard: Heard | None) -> Answer:
        assert self._session.connector is not None, "the session is open"
        connection = await self._session.connector.connect(self._request, [], _NO_LIMIT)
        try:
            protocol = connection.protocol
            assert protocol is not None, "it was opened just now"
            assert protocol.transport is not None, "nobody had time to close it"
            protocol.set_response_params(read_until_eof=True, auto_decompress=True, read_bufsize=READ_BUFFER)
            protocol.transport.write(b"".join((self._head, b"%d\r\n\r\n" % len(body), body)))
            message, content = await protocol.read()
            while message.code < 200 and message.code != 101:  # it goes on
                message, content = await protocol.read()
            answer = Answer(message.code, message.headers, await _read(content, _of_events(message.headers, heard)))
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientPayloadError(f"this is not HTTP: {error.message or 'it cannot be read'}") from error
        except BaseException:
            connection.close()
            raise
        if answer.body is None:
            connection.close()
        else:
            connection.release()  # which closes it where it cannot be used again
        return answer

    async def _through_proxy(self, body: bytes, proxy: str, heard: Heard | None) -> Answer:
        url, headers = self._request.url, self._request.headers
        async with self._session.post(
            url, data=body, headers=headers, proxy=proxy, allow_redirects=False, timeout=_NO_LIMIT
        ) as response:
            told = _of_events(response.headers, heard)
            return Answer(response.status, response.headers, await _read(response.content, told))


def _of_events(headers: Mapping[str, str], heard: Heard | None) -> Heard | None:
    return heard if is_stream(headers) else None


def is_stream(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith("text/event-stream")


async def _read(content: aiohttp.StreamReader, heard: Heard | None) -> bytes | None:
    body = await content.readany()
    parts, size = [body], len(body)
    if heard is not None:
        heard(body)
    while not content.at_eof() and size <= LARGEST_ANSWER:
        parts.append(await content.readany())
        size += len(parts[-1])
        if heard is not None:
            heard(parts[-1])
    return b"".join(parts) if size <= LARGEST_ANSWER else None
