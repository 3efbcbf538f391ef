"""Carrying plans out with the standard library's connections. Threads may share them."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections import deque
from collections.abc import Generator
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

from laneway.client.place import Place
from laneway.client.steps import Answer, Give, Plan, Read, Request, Step, Wait
from laneway.errors import ServerUnreachable

T = TypeVar("T")
PIECE = 65_536  # bytes
CONNECT_S = 10.0
IDLE_S = 4.0  # after which the server may close a connection that nobody uses (uvicorn: 5 s)
KEPT = 20  # connections that nobody uses


class Idle(NamedTuple):
    connection: http.client.HTTPConnection
    since: float


class Connections:
    def __init__(self, place: Place, tls: ssl.SSLContext | None) -> None:
        self._place = place
        self._tls = tls or (ssl.create_default_context() if place.secure else None)
        self._idle: deque[Idle] = deque(maxlen=KEPT)

    def run(self, plan: Plan[T]) -> T:
        """To its end; what it returns."""
        with closing(_Exchange(self)) as exchange:
            try:
                step = next(plan)
                while True:
                    step = exchange.go_on(plan, step)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # typeshed has it as Any

    def walk(self, plan: Plan[None]) -> Generator[Any, None, None]:
        """What it gives."""
        with closing(_Exchange(self)) as exchange:
            step = next(plan, None)
            while step is not None:
                if isinstance(step, Give):
                    yield step.item
                try:
                    step = exchange.go_on(plan, step)
                except StopIteration:
                    return

    def begin(self, request: Request) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send it and read the answer's head. Raises ServerUnreachable."""
        kept = None if request.stream or not request.again else self._take()
        if kept is not None:
            try:
                return kept, self._ask(kept, request)
            except (OSError, http.client.HTTPException):
                kept.close()  # the server had given it up, or went away: a new one tells
        connection = self._new()
        try:
            connection.connect()
        except OSError as error:
            raise self._unreachable(error, sent=False) from error
        try:
            return connection, self._ask(connection, request)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error

    def send(self, request: Request) -> Answer:
        connection, response = self.begin(request)
        try:
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error
        if response.will_close:
            connection.close()
        else:
            self._idle.append(Idle(connection, time.monotonic()))
        return Answer(response.status, _headers(response), body)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().connection.close()

    def _take(self) -> http.client.HTTPConnection | None:
        while self._idle:
            try:
                idle = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if time.monotonic() - idle.since < IDLE_S:
                return idle.connection
            idle.connection.close()
        return None

    def _new(self) -> http.client.HTTPConnection:
        host, port = self._place.host, self._place.port
        if self._place.secure:
            return http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=CONNECT_S)

    def _ask(self, connection: http.client.HTTPConnection, request: Request) -> http.client.HTTPResponse:
        sock: socket.socket | None = connection.sock
        if sock is not None:
            sock.settimeout(request.timeout)
        headers = {**self._place.headers, **request.headers}
        connection.request(request.method, self._place.base + request.path, request.body, headers)
        return connection.getresponse()

    def _unreachable(self, error: Exception, *, sent: bool = True) -> ServerUnreachable:
        said = f"{self._place.origin} does not answer ({str(error) or type(error).__name__})"
        return ServerUnreachable(said, hint="is `laneway serve` there?", sent=sent)


class _Exchange:
    """One plan's way, with the stream that it reads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._stream: tuple[http.client.HTTPConnection, http.client.HTTPResponse] | None = None

    def go_on(self, plan: Plan[Any], step: Step) -> Step:
        """Do it, and say what came of it; what is next. Raises StopIteration at the plan's end."""
        try:
            came = self._do(step)
        except ServerUnreachable as error:
            return plan.throw(error)
        return plan.send(came)

    def close(self) -> None:
        if self._stream is not None:
            self._stream[0].close()
            self._stream = None

    def _do(self, step: Step) -> Answer | bytes | None:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
        elif isinstance(step, Read):
            return self._read()
        elif isinstance(step, Request):
            return self._open(step) if step.stream else self._connections.send(step)
        return None

    def _open(self, request: Request) -> Answer:
        self.close()
        connection, response = self._connections.begin(request)
        if response.status >= 300:
            with closing(connection):
                return Answer(response.status, _headers(response), response.read())
        self._stream = connection, response
        return Answer(response.status, _headers(response), b"")

    def _read(self) -> bytes:
        assert self._stream is not None
        try:
            return self._stream[1].read1(PIECE)
        except (OSError, http.client.HTTPException) as error:
            raise ServerUnreachable(f"the stream broke off ({type(error).__name__})") from error


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}
