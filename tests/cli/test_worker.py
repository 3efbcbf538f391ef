"""``laneway worker``: another process does what this one submits."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]

APP = """
import asyncio, sys
from laneway import Laneway
lw = Laneway()

@lw.task
async def double(n: int) -> int:
    return n * 2

@lw.task
def shout(text: str) -> str:
    return lw.sync.call("small", text)

@lw.rule
def night(patient):
    return {"lane": "night"} if patient.fields.get("n") == 3 else None

async def main():
    jobs = [await lw.submit(double, n=n) for n in range(20)]
    print([await job.result(60) for job in jobs])
    print((await (await lw.submit(shout, "hi")).result(60))[:16])
    print((await jobs[3].status()).lane)
    await lw.close()

if __name__ == "__main__":
    asyncio.run(main())
"""
CONFIG = """
app = "tasks:lw"
[accounts.main]
provider = "openai"
[models.small]
account = "main"
id = "gpt-4o-mini"
"""


def test_a_worker_serves_other_processes_and_drains_on_sigterm(desk: Desk, simulate: Simulate) -> None:
    simulate()
    desk.write("tasks.py", APP)
    desk.write("laneway.toml", CONFIG)
    worker = desk.start("worker")
    try:
        done = subprocess.run(
            [sys.executable, "tasks.py"],
            cwd=desk.folder,
            env=desk.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == [str([n * 2 for n in range(20)]), "Simulated answer", "night"]
        status = desk.run("status", "--json").json
        assert len(status["workers"]) == 1
    finally:
        worker.send_signal(signal.SIGTERM)
        _, err = worker.communicate(timeout=60)
    assert worker.returncode == 0, err
    assert desk.run("status", "--json").json["workers"] == []
    explained = desk.run("explain", "21").out
    assert "1. Python on this machine" in explained
    assert "small on main: ok" in explained


def test_an_app_that_cannot_be_loaded(desk: Desk) -> None:
    done = desk.run("worker", "--app", "nowhere:lw")
    assert done.code == 2
    assert "'nowhere:lw' cannot be loaded" in done.err


def test_cancel_and_retry_by_key(desk: Desk, simulate: Simulate) -> None:
    simulate(error_rate=1.0)
    desk.write("laneway.toml", CONFIG + "[retry]\nmax_attempts = 1\n")
    desk.batch("tasks.jsonl", 1, model="small")
    assert desk.run("run", "tasks.jsonl").code == 1
    assert desk.run("cancel", "t0").out == "task 1: nothing to cancel\n"
    assert desk.run("retry", "t0", "--json").json["changed"] == 1
    assert desk.run("explain", "none", "--json").json["error"]["kind"] == "not_found"
