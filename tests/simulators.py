"""The simulator on a thread of the tests' own process."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

import uvloop

from laneway.simulator.__main__ import parser
from laneway.simulator.models import read_models
from laneway.simulator.options import Options
from laneway.simulator.process import SimulatorProcess
from laneway.simulator.server import listening


class SimulatorThread(SimulatorProcess):
    """The same on the same sockets, without the 0.3 s of CPU that a process takes to begin: in some 200 tests a fifth
    of what they cost. ``tests/simulator/test_process.py`` holds the process."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        given = vars(parser().parse_args(self._command[self._command.index("laneway.simulator") + 1 :]))
        models = given.pop("models")
        for name in ("host", "port", "exit_with_parent", "json"):
            del given[name]
        self._options = Options()
        self._options.change(given)
        if models is not None:
            self._options.models = read_models(models)
        self._thread: threading.Thread | None = None
        self._over: Future[None] = Future()

    def start(self) -> SimulatorThread:
        assert self._thread is None, "it is running already"
        ready: Future[str] = Future()
        self._over = Future()
        self._thread = threading.Thread(target=self._serve, args=(ready, self._over), daemon=True)
        self._thread.start()
        self.url = ready.result()
        return self

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set_result(None)
            thread.join()

    def _serve(self, ready: Future[str], over: Future[None]) -> None:
        async def live() -> None:
            async with listening(self._options, "127.0.0.1", 0) as url:
                ready.set_result(url)
                await asyncio.wrap_future(over)

        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(live())
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)
