"""What a worker process is told while it works: by signals, and by the parent of several on a socket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable

DRAIN, BREAK_OFF, RELOAD = b".", b"!", b"r"


class Orders:
    """The first signal drains, the second breaks off what is in flight; SIGHUP has the config read again."""

    def __init__(self, reload: Callable[[], Awaitable[object]]) -> None:
        self.drain = asyncio.Event()
        self.break_off = asyncio.Event()
        self.by_ctrl_c = False
        self._reload = reload
        self._reloading: set[asyncio.Future[object]] = set()

    def heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._read_again)

    async def heed(self, parent: asyncio.StreamReader) -> None:
        """Until the parent is gone, which drains too."""
        while said := await parent.read(16):
            if RELOAD in said:
                self._read_again()
            if DRAIN in said or BREAK_OFF in said:
                self.drain.set()
            if BREAK_OFF in said:
                self.break_off.set()
        self.drain.set()

    def _read_again(self) -> None:
        if not self.drain.is_set():
            reloading = asyncio.ensure_future(self._reload())
            self._reloading.add(reloading)
            reloading.add_done_callback(self._reloading.discard)

    def _signal(self, number: signal.Signals) -> None:
        if self.drain.is_set():
            self.break_off.set()
        self.drain.set()
        self.by_ctrl_c = self.by_ctrl_c or number == signal.SIGINT


async def parents_line() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The socket that the parent gave as standard input. Nothing that a task starts gets to read it."""
    own = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return await asyncio.open_unix_connection(sock=socket.socket(fileno=own))
