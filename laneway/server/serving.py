"""Running the server: its socket, its signals, its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from laneway.server.access import Access
from laneway.server.app import Manners, application
from laneway.server.guard import Guard
from laneway.server.listening import listen, origin
from laneway.server.probes import Probes
from laneway.server.tokens.keyring import Keyring
from laneway.server.watching import Watch

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


@dataclass(frozen=True, slots=True)
class ServeOptions:
    host: str
    port: int  # 0: any free one
    access: Access
    manners: Manners
    drain: float  # seconds that open requests have at the end
    access_log: bool = False


class _Server(uvicorn.Server):
    """With the signals handled by the loop, so that the end is ours, and a word when it is ready."""

    ready: Callable[[], None]
    ending: asyncio.Event

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.ending.set()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(lw: Laneway, options: ServeOptions, ready: Callable[[str], None]) -> None:
    """Until SIGTERM or Ctrl-C: then no new requests, open ones get their answers, what is in flight is finished.
    ``ready`` is told the base URL. Raises UsageError when the address cannot be used."""
    lw.catalog.check(lw.catalog.models())
    listener = listen(options.host, options.port, "choose another --port (0: any free one) or --host")
    access = options.access
    keyring = Keyring(lw, access.token, opened=access.opened)
    ending = asyncio.Event()
    app = application(lw, options.manners, keyring, ending)
    per_minute = lw.config.server.requests_per_minute
    guard = Guard(app, access, options.manners.largest, keyring, lw.clock.now, per_minute)
    server = _Server(
        uvicorn.Config(
            Probes(Watch(guard, app.state.http, access_log=options.access_log), app.state.duty),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=max(1, round(options.drain)),
        )
    )
    url = f"{origin(listener, options.host)}/v1"
    server.ready, server.ending = lambda: ready(url), ending
    try:
        await server.serve(sockets=[listener])
    finally:
        listener.close()
        await lw.close()
