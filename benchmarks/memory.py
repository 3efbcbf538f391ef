"""1,000,000 Python tasks that do nothing, all queued, then drained: peak memory, rates, size, ``laneway status``."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import command, environment, workplace

TASKS = 1_000_000
PROGRAM = """
import asyncio, json, os, resource, sys, time
from pathlib import Path
from laneway import Laneway

store, n = Path(sys.argv[1]), int(sys.argv[2])
lw = Laneway(store=f"sqlite:///{store}")
CHUNK = 10_000
marks, done = [], 0

@lw.task
async def nothing(n: int) -> int:
    global done
    done += 1
    if done % tenth == 0:
        marks.append(time.perf_counter())
        if done == n_all:
            ended.set()
    return n

def told(began, marks):
    tenths = [later - sooner for sooner, later in zip([began, *marks], marks)]
    return {"seconds": marks[-1] - began, "last_to_first": tenths[0] / tenths[-1]}

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

async def submit():
    began, marks, sent = time.perf_counter(), [], 0
    while sent < n:
        chunk = min(CHUNK, tenth - sent % tenth, n - sent)
        await lw.submit_many(nothing, range(sent, sent + chunk))
        sent += chunk
        if sent % tenth == 0:
            marks.append(time.perf_counter())
    return {**told(began, marks), "peak_mb": peak_mb()}

async def drain():
    began = time.perf_counter()
    async with lw.worker():
        await ended.wait()
    return {**told(began, marks), "peak_mb": peak_mb()}

def size_mb():
    return sum(file.stat().st_size for file in store.parent.glob(store.name + "*") if file.is_file()) / 1e6

async def main():
    global tenth, n_all, ended
    tenth, n_all, ended = n // 10, n, asyncio.Event()
    said = {"submit": await submit()}
    print(json.dumps("queued"), flush=True)
    sys.stdin.readline()
    said |= {"drain": await drain(), "peak_mb": peak_mb(), "size_mb": size_mb()}
    print(json.dumps("drained"), flush=True)
    sys.stdin.readline()
    said["faults"] = await lw.store.check()
    counted = [tally.counts for tally in await lw.store.tally()]
    said["succeeded"] = sum(count for counts in counted for state, count in counts.items() if state == "succeeded")
    await lw.close()
    print(json.dumps(said))

asyncio.run(main())
"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", type=int, default=TASKS, help="in tens (default: %(default)s)")


def run(repeat: int, tasks: int = TASKS) -> dict[str, Any]:
    """All are queued before the first is worked on, by one process that then works. ``last_to_first``: the rate in the
    last tenth over that in the first, the lower one of submitting and draining. ``status_s``: the whole command, the
    slower one of all queued and all drained; ``status_empty_s``: on a store with nothing in it."""
    turns = [_turn(tasks) for _ in range(repeat)]
    told = {name: round(statistics.median(turn[name] for turn in turns), 4) for name in turns[0]}
    return {**told, "tasks": tasks, "all": turns}


def _turn(tasks: int) -> dict[str, float]:
    with workplace() as folder:
        store = folder / "s.db"
        said, status = _worked(store, tasks, lambda: _status_s(f"sqlite:///{store}"))
        empty = _status_s(f"sqlite:///{folder / 'empty.db'}")
    if said["faults"] or said["succeeded"] != tasks:
        raise RuntimeError(f"{said['succeeded']} of {tasks} succeeded; {said['faults']}")
    submit, drain = said["submit"], said["drain"]
    return {
        "peak_mb": round(said["peak_mb"], 1),
        "last_to_first": round(min(submit["last_to_first"], drain["last_to_first"]), 4),
        "status_s": round(max(status.values()), 4),
        "status_empty_s": round(empty, 4),
        **{f"status_{when}_s": round(seconds, 4) for when, seconds in status.items()},
        "size_mb": round(said["size_mb"], 1),
        "bytes_per_task": round(1e6 * said["size_mb"] / tasks),
        "submit_per_s": round(tasks / submit["seconds"]),
        "drain_per_s": round(tasks / drain["seconds"]),
        "tasks_per_s": round(tasks / (submit["seconds"] + drain["seconds"])),
        "submit_last_to_first": round(submit["last_to_first"], 4),
        "drain_last_to_first": round(drain["last_to_first"], 4),
        "submit_peak_mb": round(submit["peak_mb"], 1),
    }


def _worked(store: Path, tasks: int, look: Callable[[], float]) -> tuple[Mapping[str, Any], dict[str, float]]:
    """Run the program; ``look`` when it says that all are queued, and when all are drained."""
    seen: dict[str, float] = {}
    arguments = [sys.executable, "-c", PROGRAM, str(store), str(tasks)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            if not isinstance(said, str):
                return said, seen
            seen[said] = look()
            process.stdin.write("\n")
            process.stdin.flush()
    raise RuntimeError(f"the program ended with {process.returncode}")


def _status_s(store: str) -> float:
    """The median of three; the first of a process that has just been installed would pay for others' bytecode."""
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run(
            command("status", "--json", "--store", store), env=environment(""), stdout=subprocess.DEVNULL, check=True
        )
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
