"""Several processes of one command, for machines with more cores than one process can use."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

AT_ONCE_S = 10.0  # a process that ends by itself sooner than this will do so again: what it said needs mending
PAUSES_S = (0.0, 1.0, 5.0, 15.0)  # before one that ended later is replaced; the last for all that follow
CALM_S = 300.0  # after which the pauses begin anew

log = logging.getLogger(__name__)


class Processes:
    """Keeps ``n`` of them going until a signal comes. They share the work and the limits through the store, as workers
    on one machine do; this process opens nothing.

    Each child's standard input is a pipe of ours: it ends with us, however we end, and they stop at that.
    """

    def __init__(self, arguments: Sequence[str], n: int) -> None:
        self._command = [sys.executable, "-m", "laneway", *arguments]
        self._n = n
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Until SIGINT or SIGTERM, or until one ends at its start. Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        await asyncio.gather(*(self._keep_going() for _ in range(self._n)))
        return self._code

    async def _keep_going(self) -> None:
        ends = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            child = await asyncio.create_subprocess_exec(*self._command, stdin=asyncio.subprocess.PIPE)
            ended = asyncio.ensure_future(child.wait())
            await self._wait(ended)
            if self._stopping.is_set():
                assert child.stdin is not None
                child.stdin.close()  # the child finishes what it has in flight
                await ended
                return
            lived = time.monotonic() - began
            if child.returncode and child.returncode > 0 and lived < AT_ONCE_S:
                self._code = self._code or child.returncode
                self._stopping.set()
                return
            ends = 0 if lived > CALM_S else ends + 1
            pause = PAUSES_S[min(ends, len(PAUSES_S) - 1)]
            log.warning("worker process %d ended (%s); another takes its place", child.pid, _how(child.returncode))
            await self._wait(asyncio.ensure_future(asyncio.sleep(pause)))

    async def _wait(self, one: asyncio.Future[Any]) -> None:
        """For that, or to be stopped."""
        stopped: asyncio.Future[Any] = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([one, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()


def _how(code: int | None) -> str:
    return f"exit {code}" if code is None or code >= 0 else signal.Signals(-code).name
