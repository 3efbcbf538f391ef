"""``laneway worker --processes N``: several workers that are one to whoever watches over them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from laneway.cli.orders import BREAK_OFF, DRAIN, RELOAD, Orders
from laneway.cli.processes import Processes
from laneway.cli.working import LEFT, Public, Wanted, exit_code
from laneway.errors import StoreError
from laneway.server.health import Health, together

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


class Fleet(Processes):
    """This process opens nothing but what its metrics are read from, and speaks for all of them.

    Each child's standard input is a socket of ours: orders go one way, how it stands comes the other. It ends with us,
    however we end, and they drain at that.
    """

    def __init__(self, arguments: Sequence[str], wanted: Wanted, lw: Laneway) -> None:
        super().__init__(arguments, wanted.processes)
        self._lw = lw
        self._orders = Orders(self._reload)
        self._lines: dict[int, asyncio.StreamWriter] = {}  # by process id, as all that follow
        self._listening: dict[int, asyncio.Task[None]] = {}
        self._healths: dict[int, tuple[Health, float]] = {}  # … and when it was said
        self._all_joined = asyncio.Event()
        self._public = Public(wanted, self._look, lw)
        self._left = False

    async def run(self) -> int:
        """Until SIGINT or SIGTERM, or until one ends at its start. Returns the exit code."""
        self._orders.heed_signals()
        async with self._public.answering():
            tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._obey())]
            await self._keep_all_going()
            for task in tasks:
                task.cancel()
        await self._lw.close()
        return self._code or exit_code(by_ctrl_c=self._orders.by_ctrl_c, left=self._left)

    async def _speak(self) -> None:
        await self._all_joined.wait()
        self._public.ready(f"{socket.gethostname()}-{os.getpid()}")

    async def _obey(self) -> None:
        await self._orders.drain.wait()
        self._public.draining()
        self.drain()
        await self._orders.break_off.wait()
        self.abort()

    async def _reload(self) -> None:
        """Each child reads the config, and judges it, by itself."""
        for line in self._lines.values():
            line.write(RELOAD)

    def abort(self) -> None:
        for line in self._lines.values():
            line.write(BREAK_OFF)

    def _look(self) -> Health | None:
        """All of them, by what they said last."""
        now, healths = time.monotonic(), []
        for health, heard in self._healths.values():
            age = now - heard
            healths.append(
                replace(
                    health,
                    draining=self._orders.drain.is_set(),
                    lease_s=health.lease_s - age,
                    heartbeat_age_s=health.heartbeat_age_s + age,
                    tick_age_s=health.tick_age_s + age,
                )
            )
        draining = self._orders.drain.is_set()  # then some have ended
        return together(healths) if draining or len(healths) == self._n else None

    async def _start(self) -> Process:
        ours, theirs = socket.socketpair()
        with theirs:
            child = await asyncio.create_subprocess_exec(*self._command, stdin=theirs.fileno())
        said, self._lines[child.pid] = await asyncio.open_unix_connection(sock=ours)
        self._listening[child.pid] = asyncio.create_task(self._listen(child.pid, said))
        return child

    async def _listen(self, pid: int, said: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            async for report in said:
                self._healths[pid] = Health(**orjson.loads(report)), time.monotonic()
                if len(self._healths) == self._n:
                    self._all_joined.set()

    def _tell_to_drain(self, child: Process) -> None:
        self._lines[child.pid].write(DRAIN)

    def _gone(self, child: Process, code: int) -> None:
        self._left = self._left or code == LEFT
        self._lines.pop(child.pid).close()
        self._listening.pop(child.pid).cancel()
        self._healths.pop(child.pid, None)

    def _is_hopeless(self, code: int) -> bool:
        return code != StoreError.exit_code or not self._all_joined.is_set()  # a store that was there may come back
