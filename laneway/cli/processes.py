"""Several processes of one command, for machines with more cores than one process can use."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

AT_ONCE_S = 10.0  # a process that ends by itself sooner than this will do so again: what it said needs mending
PAUSES_S = (0.0, 1.0, 5.0, 15.0)  # before one that ended later is replaced; the last for all that follow
CALM_S = 300.0  # after which the pauses begin anew

log = logging.getLogger(__name__)


class Processes:
    """Keeps ``n`` of them going until it is told to stop. They share the work and the limits through the store, as
    workers on one machine do.

    Each child's standard input is a pipe of ours: it ends with us, however we end, and they stop at that.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        n: int,
        *,
        helping: bool = False,
        died: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``helping``: this process does the same work and goes on without them. They end when nothing is left to do,
        and what a terminal says to its processes does not reach them. ``died`` is called when one did."""
        self._command = [sys.executable, "-m", "laneway", *arguments]
        self._n = n
        self._helping = helping
        self._died = died
        self._stopping = asyncio.Event()
        self._children: set[Process] = set()
        self._code = 0

    @contextlib.asynccontextmanager
    async def beside(self) -> AsyncIterator[None]:
        """They work while the block does; at its end they are drained."""
        keeping = asyncio.ensure_future(self._keep_all_going())
        try:
            yield
        finally:
            self.drain()
            await keeping

    def drain(self) -> None:
        """They finish what they have in flight, and end."""
        self._stopping.set()

    def abort(self) -> None:
        """They break that off."""
        self.drain()
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()

    async def _keep_all_going(self) -> None:
        await asyncio.gather(*(self._keep_going() for _ in range(self._n)))

    async def _keep_going(self) -> None:
        ends = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            child = await self._start()
            self._children.add(child)
            ended = asyncio.ensure_future(child.wait())
            await self._wait(ended)
            if self._stopping.is_set():
                self._tell_to_drain(child)
            code = await ended
            self._children.discard(child)
            self._gone(child, code)
            if code == 0 or self._stopping.is_set():  # unasked it ends well where nothing is left, or it was drained
                self._n -= 1
                return
            if self._died is not None:
                await self._died()
            lived = time.monotonic() - began
            if code > 0 and lived < AT_ONCE_S and self._is_hopeless(code):
                self._ended_at_once(child.pid, code)
                return
            ends = 0 if lived > CALM_S else ends + 1
            pause = PAUSES_S[min(ends, len(PAUSES_S) - 1)]
            log.warning("worker process %d ended (%s); another takes its place", child.pid, _how(code))
            await self._wait(asyncio.ensure_future(asyncio.sleep(pause)))

    async def _start(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, start_new_session=self._helping
        )

    def _tell_to_drain(self, child: Process) -> None:
        assert child.stdin is not None
        child.stdin.close()  # the child finishes what it has in flight

    def _gone(self, child: Process, code: int) -> None:
        """One has ended."""

    def _is_hopeless(self, code: int) -> bool:
        """Whether the next one would end at its start, as this did."""
        return True

    def _ended_at_once(self, pid: int, code: int) -> None:
        if self._helping:
            log.warning("worker process %d ended (%s); the others go on without it", pid, _how(code))
            return
        self._code = self._code or code
        self._stopping.set()

    async def _wait(self, one: asyncio.Future[Any]) -> None:
        """For that, or to be stopped."""
        stopped: asyncio.Future[Any] = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([one, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()


def at_parents_end(act: Callable[[], object]) -> None:
    """In a child: act when the parent closes our standard input, on purpose or by dying. Nobody writes there."""
    loop = asyncio.get_running_loop()

    def readable() -> None:
        loop.remove_reader(sys.stdin.fileno())  # it stays readable
        act()

    loop.add_reader(sys.stdin.fileno(), readable)


def _how(code: int) -> str:
    return f"exit {code}" if code >= 0 else signal.Signals(-code).name
