"""Carrying plans out with aiohttp, on the running event loop."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from laneway.client.place import Place
from laneway.client.steps import Answer, Give, Plan, Read, Request, Step, Wait
from laneway.errors import ServerUnreachable

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
CONNECT_S = 10.0
IDLE_S = 4.0  # after which the server may close a connection that nobody uses (uvicorn: 5 s)


class Session:
    """aiohttp is imported when it is first asked for something: it takes a quarter of a second."""

    def __init__(self, place: Place, tls: ssl.SSLContext | None) -> None:
        self._place = place
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def run(self, plan: Plan[T]) -> T:
        """To its end; what it returns."""
        async with aclosing(_Exchange(self)) as exchange:
            step = next(plan)
            while True:
                came = await exchange.do(step)
                try:
                    step = plan.throw(came) if isinstance(came, ServerUnreachable) else plan.send(came)
                except StopIteration as end:  # a coroutine may not let it through
                    return end.value  # type: ignore[no-any-return]  # typeshed has it as Any

    async def walk(self, plan: Plan[None]) -> AsyncGenerator[Any, None]:
        """What it gives."""
        async with aclosing(_Exchange(self)) as exchange:
            step = next(plan, None)
            while step is not None:
                if isinstance(step, Give):
                    yield step.item
                came = await exchange.do(step)
                try:
                    step = plan.throw(came) if isinstance(came, ServerUnreachable) else plan.send(came)
                except StopIteration:
                    return

    async def begin(self, request: Request) -> aiohttp.ClientResponse:
        """Send it and read the answer's head. Raises ServerUnreachable."""
        import aiohttp
        from yarl import URL

        place = self._place
        try:
            return await self._opened().request(
                request.method,
                URL(place.origin + place.base + request.path, encoded=True),
                data=request.body,
                headers=request.headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=request.timeout),
            )
        except (aiohttp.ClientError, OSError) as error:  # time that has run out is an OSError
            sent = not isinstance(error, aiohttp.ClientConnectorError)
            said = f"{place.origin} does not answer ({str(error) or type(error).__name__})"
            raise ServerUnreachable(said, hint="is `laneway serve` there?", sent=sent) from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S, ssl=self._tls or True)
            cookies = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=cookies, headers=self._place.headers, trust_env=False
            )
        return self._session


class _Exchange:
    """One plan's way, with the stream that it reads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stream: aiohttp.ClientResponse | None = None

    async def do(self, step: Step) -> Answer | bytes | ServerUnreachable | None:
        try:
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            elif isinstance(step, Read):
                return await self._read()
            elif isinstance(step, Request):
                return await self._send(step)
        except ServerUnreachable as error:
            return error
        return None

    async def aclose(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _send(self, request: Request) -> Answer:
        if request.stream:
            await self.aclose()
        response = await self._session.begin(request)
        headers = {name.lower(): value for name, value in response.headers.items()}
        if request.stream and response.status < 300:
            self._stream = response
            return Answer(response.status, headers, b"")
        async with response:
            return Answer(response.status, headers, await _readable(response.read()))

    async def _read(self) -> bytes:
        assert self._stream is not None
        return await _readable(self._stream.content.readany())


async def _readable(reading: Any) -> bytes:
    """Raises ServerUnreachable when it breaks off."""
    import aiohttp

    try:
        return bytes(await reading)
    except (aiohttp.ClientError, OSError) as error:
        raise ServerUnreachable(f"the answer broke off ({type(error).__name__})") from error
