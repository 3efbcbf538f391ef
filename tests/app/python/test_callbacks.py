"""``@lw.on_result``: every ended task of a type is told, in order, across restarts."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from laneway import Ended, Laneway, UsageError
from laneway.app.python import callbacks
from laneway.config.models import Config
from laneway.task import State


def application(folder: Path) -> Laneway:
    made = Laneway(Config(folder=folder), store=f"sqlite:///{folder}/s.db", env={})

    @made.task
    async def halve(n: int) -> float:
        if n % 2:
            raise ValueError("odd")
        return n / 2

    return made


async def told(heard: list[Ended], n: int) -> list[Ended]:
    async with asyncio.timeout(20):
        while len(heard) < n:  # noqa: ASYNC110 - the test's own bound
            await asyncio.sleep(0.01)
    return heard


async def test_sync_and_async_functions_hear_of_good_and_bad_ends_in_order(tmp_path: Path) -> None:
    lw = application(tmp_path)
    heard: list[Ended] = []
    ids: list[int] = []

    @lw.task
    async def other() -> None: ...

    @lw.on_result("halve", name="one")
    async def one(ended: Ended) -> None:
        heard.append(ended)

    @lw.on_result(lw.python.find("halve"))
    def two(ended: Ended) -> None:
        assert threading.current_thread() is not threading.main_thread()
        ids.append(ended.id)

    async with lw.worker():
        await lw.submit(other)
        jobs = [await lw.submit("halve", n, key=f"k{n}", tags=["a"]) for n in range(6)]
        await asyncio.gather(*(job.result(20) for job in jobs), return_exceptions=True)
    assert sorted(ended.id for ended in heard) == [job.id for job in jobs], "all are told before the worker ends"
    assert ids == [ended.id for ended in heard], "in the order of settlement"
    by_key = {ended.key: ended for ended in heard}
    assert by_key["k4"] == Ended(jobs[4].id, "k4", "halve", State.SUCCEEDED, 2.0, None, ("a",))
    bad = by_key["k3"]
    assert (bad.state, bad.value) == (State.FAILED, None)
    assert bad.error is not None
    assert bad.error["message"] == "ValueError: odd"
    await lw.close()


async def test_what_ends_while_the_app_is_away_is_told_at_its_return_and_nothing_twice(tmp_path: Path) -> None:
    heard: list[int] = []

    def with_callback() -> Laneway:
        lw = application(tmp_path)

        @lw.on_result("halve", name="keep")
        def keep(ended: Ended) -> None:
            heard.append(ended.id)

        return lw

    early = application(tmp_path)
    async with early.worker():
        await (await early.submit("halve", 2)).result(10)
    lw = with_callback()
    async with lw.worker():
        first = await lw.submit("halve", 4)
        await first.result(10)
    await lw.close()
    async with early.worker():  # another app on the same store
        second = await early.submit("halve", 6)
        await second.result(10)
    await early.close()
    again = with_callback()
    async with again.worker():
        pass
    assert heard == [first.id, second.id], "what ended before the callback was first known is not told"
    await again.close()


async def test_of_two_workers_one_tells(tmp_path: Path) -> None:
    heard: list[int] = []
    apps = [application(tmp_path), application(tmp_path)]
    for lw in apps:
        lw.on_result("halve", name="once")(lambda ended: heard.append(ended.id))
    async with apps[0].worker(), apps[1].worker():
        jobs = [await apps[n % 2].submit("halve", n * 2) for n in range(40)]
        for job in jobs:
            await job.result(20)
    assert sorted(heard) == [job.id for job in jobs]
    for lw in apps:
        await lw.close()


async def test_a_callback_that_raises_is_called_again_and_then_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(callbacks, "DELAYS", (0.001, 0.001))
    lw = application(tmp_path)
    heard: list[Ended] = []

    @lw.on_result("halve", name="shy")
    async def shy(ended: Ended) -> None:
        heard.append(ended)
        if ended.value == 1 or (ended.value == 2 and len(heard) < 5):
            raise RuntimeError("not now")

    async with lw.worker():
        for n in (2, 4, 6):
            await (await lw.submit("halve", n)).result(10)
        await told(heard, 6)
    assert [ended.value for ended in heard] == [1, 1, 1, 2, 2, 3]
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "callback shy: task 1 is skipped: it raised 3 times"
    ]
    saved = await lw.store.load_state("callback:shy")
    assert saved is not None
    assert saved[0]["skipped"] == [1]
    await lw.close()


async def test_a_result_that_was_pruned_untold_is_skipped_and_not_told_as_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Ended] = []
    lw = application(tmp_path)
    lw.on_result("halve", name="late")(lambda ended: None)
    async with lw.worker():
        pass
    await lw.close()
    elsewhere = application(tmp_path)
    async with elsewhere.worker():
        await (await elsewhere.submit("halve", 4)).result(20)
        await elsewhere.store.prune(elsewhere.clock.now() + 1)
    await elsewhere.close()
    lw = application(tmp_path)
    lw.on_result("halve", name="late")(heard.append)
    async with lw.worker():
        await (await lw.submit("halve", 8)).result(20)
        await told(heard, 1)
    assert [ended.value for ended in heard] == [4]
    assert "task 1 is skipped: its result was pruned" in caplog.text
    await lw.close()


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.app.python.test_callbacks import application

async def main():
    lw = application(Path(sys.argv[1]))

    @lw.on_result("halve", name="keep")
    def keep(ended):
        with open(Path(sys.argv[1]) / "heard.txt", "a") as heard:
            heard.write(f"{ended.id}\\n")
        if sys.argv[2] == "die":
            os.kill(os.getpid(), signal.SIGKILL)

    async with lw.worker():
        if sys.argv[2] == "die":
            await lw.submit("halve", 2)
            await lw.submit("halve", 4)
            await asyncio.sleep(20)
        while len((Path(sys.argv[1]) / "heard.txt").read_text().split()) < 3:  # the second may have been in flight
            await asyncio.sleep(0.01)

asyncio.run(main())
"""


def test_killed_inside_a_callback_it_is_told_again(tmp_path: Path) -> None:
    first = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "die"], timeout=60, check=False)
    assert first.returncode == -signal.SIGKILL
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "live"], timeout=60, check=True)
    assert (tmp_path / "heard.txt").read_text().split() == ["1", "1", "2"]


def test_a_callback_names_its_tasks_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    lw = application(tmp_path)
    with pytest.raises(UsageError, match="needs a task"):
        lw.on_result()
    with pytest.raises(UsageError, match="needs a task"):
        lw.on_result(lambda ended: None)  # type: ignore[arg-type]
    lw.on_result("halve", name="a")(lambda ended: None)
    with pytest.raises(UsageError, match="two callbacks"):
        lw.on_result("halve", name="a")(print)
