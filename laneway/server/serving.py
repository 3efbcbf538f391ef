"""Running the server: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from laneway.server.access import Access
from laneway.server.app import Manners, application
from laneway.server.guard import Guard
from laneway.server.listening import listen, origin
from laneway.server.probes import Probes
from laneway.server.protocol import BoundedHttp
from laneway.server.shortcut import Shortcut
from laneway.server.tokens.keyring import Keyring
from laneway.server.watching import Watch

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LINGER_S = 2.0  # for idle connections at the end
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class ServeOptions:
    host: str
    port: int  # 0: any free one
    access: Access
    manners: Manners
    drain: float  # seconds that open requests have at the end
    access_log: bool = False
    listener: socket.socket | None = None  # of whoever started us


class _Server(uvicorn.Server):
    """With the signals handled by the loop, so that the end is ours, and a word when it is ready."""

    ready: Callable[[], None]
    stopping: Callable[[], None]
    ending: asyncio.Event
    reload: Callable[[], Awaitable[None]]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal takes leave, a second one ends at once."""
        if self.ending.is_set():
            self.should_exit = True
            super().handle_exit(sig, frame)
            return
        self.ending.set()
        self.stopping()
        self._leaving = asyncio.get_running_loop().create_task(self._take_leave(sig))

    async def _take_leave(self, sig: int) -> None:
        """Who has a connection is told to make another one, which a successor on the same socket takes: each answer now
        says ``Connection: close``. What nobody has used for so long is closed: a request that comes just then would be
        lost."""
        for server in self.servers:
            server.close()
        for _ in range(round(LINGER_S / LOOK_S)):
            if not self.server_state.connections:
                break
            await asyncio.sleep(LOOK_S)
        super().handle_exit(sig, None)

    def _reload(self) -> None:
        self._reloading = asyncio.ensure_future(self.reload())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        yield


async def serve(
    lw: Laneway, options: ServeOptions, ready: Callable[[str], None], stopping: Callable[[], None] = lambda: None
) -> None:
    """Until SIGTERM or Ctrl-C: then no new requests, open ones get their answers, what is in flight is finished.
    ``ready`` is told the base URL, ``stopping`` that the end has begun. Raises UsageError when the address cannot be
    used."""
    lw.catalog.check(lw.catalog.models())
    listener = options.listener or listen(
        options.host, options.port, "choose another --port (0: any free one) or --host"
    )
    access = options.access
    keyring = Keyring(lw, access.token, opened=access.opened)
    ending = asyncio.Event()
    app = application(lw, options.manners, keyring, ending)
    per_minute = lw.config.server.requests_per_minute
    guard = Guard(Shortcut(app, app.state.calls), access, options.manners.largest, keyring, lw.clock.now, per_minute)
    server = _Server(
        uvicorn.Config(
            Probes(Watch(guard, app.state.http, app.state.duty, access_log=options.access_log), app.state.duty),
            http=BoundedHttp,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=max(1, round(options.drain)),
        )
    )
    url = f"{origin(listener, options.host)}/v1"
    server.reload = app.state.duty.reload
    server.ready, server.stopping, server.ending = lambda: ready(url), stopping, ending
    try:
        await server.serve(sockets=[listener])
    finally:
        listener.close()
        await lw.close()
