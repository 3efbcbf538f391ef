"""Threads, event loops and forks: what web servers, notebooks and process pools do with one application."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from laneway import Laneway, UsageError
from laneway.config.models import Config
from tests.app.python.test_callbacks import application


def test_many_threads_and_event_loops_share_one_application(tmp_path: Path) -> None:
    lw = application(tmp_path)

    def blocking(n: int) -> float:
        return float(lw.sync.submit("halve", n * 2).result(30))

    def with_a_loop_of_its_own(n: int) -> float:
        async def main() -> float:
            return float(await (await lw.submit("halve", n * 2)).result(30))

        return asyncio.run(main())

    with lw.sync.worker(), ThreadPoolExecutor(8) as threads:
        results = threads.map(lambda n: (blocking if n % 2 else with_a_loop_of_its_own)(n), range(60))
        assert list(results) == [float(n) for n in range(60)]
    lw.sync.close()


async def test_blocking_calls_are_refused_on_the_workers_own_loop_and_work_on_others(tmp_path: Path) -> None:
    lw = application(tmp_path)
    async with lw.worker():
        with pytest.raises(UsageError, match="event loop"):
            lw.sync.submit("halve", 2)
        assert await asyncio.to_thread(lambda: lw.sync.submit("halve", 2).result(10)) == 1
    assert lw.sync.submit("halve", 4).id == 2, "no worker here: this loop may wait"
    await lw.close()


def test_a_worker_in_the_background_until_closed(tmp_path: Path) -> None:
    lw = Laneway(Config(folder=tmp_path), store=f"sqlite:///{tmp_path}/s.db", env={})
    lw.sync.start_worker()
    lw.sync.start_worker()

    @lw.task
    def halve(n: int) -> float:  # as a notebook does: later than its worker
        return n / 2

    assert lw.sync.submit("halve", 4).result(10) == 2
    lw.sync.close()
    assert lw.sync.submit("halve", 6).id == 2, "opened again when it is needed"
    lw.sync.close()


FORKS = """
import os, sys, signal
from pathlib import Path
from laneway import UsageError
from tests.app.python.test_callbacks import application

lw = application(Path(sys.argv[1]))

def child(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            work()
            os._exit(0)
        except UsageError as error:
            assert "forked" in error.message, error
            os._exit(3)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

submit = lambda: lw.sync.submit("halve", 2)
print(child(submit), child(submit))  # nothing was open: each child opens its own
with lw.sync.worker():
    print(submit().result(10))
    print(child(submit), child(lw.sync.close))
    print(submit().result(10))
lw.sync.close()
print(child(submit))
"""


def test_forked_children_open_their_own_or_are_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKS, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["0", "0", "1.0", "3", "0", "1.0", "0"]


ORPHAN = """
import os, signal, sys, time
from pathlib import Path
from tests.app.python.test_callbacks import application

lw = application(Path(sys.argv[1]))
lw.sync.start_worker()
there, here = os.pipe()
if os.fork() == 0:
    print("child", flush=True)
    os.write(here, b".")
    time.sleep(20)  # outlives its parent
    os._exit(0)
os.read(there, 1)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_does_not_show_its_dead_parent_as_alive(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "child\n"
    parent.wait(timeout=60)

    async def main(lw: Laneway) -> None:
        async with lw.worker():
            assert len(await lw.store.workers(lw.clock.now())) == 1
        await lw.close()

    asyncio.run(main(application(tmp_path)))
    parent.stdout.close()
