"""Tasks that do nothing, their results stored: tasks a second, CPU, latency; beside plain SQLite and other queues.

``--store postgresql``: on a PostgreSQL of its own, with its defaults; beside PgQueuer.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import peers as others
from benchmarks.common import command, workplace
from benchmarks.peers.queues import PACKAGES, QUEUES, WITHOUT_RESULTS
from benchmarks.postgres import PostgresServer
from benchmarks.processes import SERVER

APP = "benchmarks.queue_app"
ROOT = Path(__file__).parent.parent
TASKS, SINGLES, PROBES = 50_000, 2_000, 100
PATIENCE_S = 300.0  # for one peer
ON_POSTGRES = "pgqueuer"  # the peer that ours is held against there
WORKER_S = 30.0  # in which ours must have started


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tasks", type=int, default=TASKS, help="of ours and of the floor (default: %(default)s)")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="(default: %(default)s)")
    others.option(parser)


def run(repeat: int, tasks: int = TASKS, peers: str = "once", store: str = "sqlite") -> dict[str, Any]:
    """``tasks_per_s``: from the first submit to the last stored result, one process that submits in bulk and works.
    ``floor_ratio``: that over ``floor`` right beside it, the median of the pairs; ``floor_cpu_ratio``: the floor's CPU
    over ours, which a busy disk moves less. Latencies: from before the submit to the task's first line, on an idle
    worker in the same process or in another one (``laneway worker``). ``best_peer_ratio``: over the quickest of the
    peers that keep results, in the same repeat; where they ran in several, the median. On PostgreSQL ``peer_ratio`` is
    over PgQueuer, which keeps none, and ``server_cpu_s_per_1000`` the server's part of our CPU."""
    if store == "postgresql":
        return _on_postgres(repeat, tasks, peers)
    missing = "not asked for" if peers == "none" else others.missing()
    turns: list[dict[str, float]] = []
    theirs: dict[str, list[dict[str, Any]]] = {peer: [] for peer in QUEUES if missing is None}
    for turn in range(repeat):
        turns.append(_turn(tasks))
        for peer, runs in theirs.items():
            if turn == 0 or peers != "once":
                runs.append(others.queue(peer, PATIENCE_S))
    told = {name: _median([turn[name] for turn in turns]) for name in turns[0]}
    beside = {peer: _of_peer(runs) for peer, runs in theirs.items()}
    alike = [peer for peer in beside if peer not in WITHOUT_RESULTS]
    best = max(alike, key=lambda peer: beside[peer].get("tasks_per_s", 0.0), default="")
    pairs = zip(turns, theirs.get(best, []), strict=False)
    ratios = [mine["tasks_per_s"] / one["tasks_per_s"] for mine, one in pairs if "skipped" not in one]
    return {
        **told,
        "best_peer": best if ratios else None,
        "best_peer_ratio": _median(ratios) if ratios else None,
        "tasks": tasks,
        "tasks_per_s_all": [turn["tasks_per_s"] for turn in turns],
        "floor_ratio_all": [turn["floor_ratio"] for turn in turns],
        "measured": "first submit to last stored result; latency from submit to the task's first line",
        "peers": {**beside, "versions": others.versions(*PACKAGES) if beside else None, "missing": missing},
    }


def _on_postgres(repeat: int, tasks: int, peers: str) -> dict[str, Any]:
    missing = "not asked for" if peers == "none" else others.missing()
    turns, theirs = [], []
    for _ in range(repeat):
        turns.append(_turn_on_postgres(tasks))
        if missing is None:
            theirs.append(others.queue(ON_POSTGRES, PATIENCE_S))
    told = {name: _median([turn[name] for turn in turns]) for name in turns[0]}
    pairs = [(mine, one) for mine, one in zip(turns, theirs, strict=False) if "skipped" not in one]
    return {
        **told,
        "tasks": tasks,
        "tasks_per_s_all": [turn["tasks_per_s"] for turn in turns],
        "peer_ratio": _median([mine["tasks_per_s"] / one["tasks_per_s"] for mine, one in pairs]) if pairs else None,
        "peer_cpu_ratio": _median([mine["cpu_s_per_1000"] / one["cpu_s_per_1000"] for mine, one in pairs])
        if pairs
        else None,
        "measured": "first submit to last stored result; CPU with the server's",
        "peers": {
            ON_POSTGRES: _of_peer(theirs) if theirs else None,
            "versions": others.versions(*PACKAGES) if theirs else None,
            "missing": missing,
        },
    }


def _turn_on_postgres(tasks: int) -> dict[str, float]:
    with PostgresServer() as server, workplace() as folder:
        numbers = itertools.count(1)

        def fresh() -> str:
            name = f"laneway_{next(numbers)}"
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            return server.url(name)

        ours = _program(folder, APP, tasks, "through", store=fresh(), server=server.pid)
        if ours["tasks"] != tasks:
            raise RuntimeError(f"{ours['tasks']} of {tasks} results are stored")
        here = _program(folder, APP, PROBES, "latency", store=fresh())
        store = fresh()
        with _worker(folder, store):
            elsewhere = _program(folder, APP, PROBES, "latency_elsewhere", store=store)
        return {
            "tasks_per_s": round(tasks / ours["seconds"]),
            "cpu_s_per_1000": round(1000 * (ours["cpu_s"] + ours["server_cpu_s"]) / tasks, 4),
            "server_cpu_s_per_1000": round(1000 * ours["server_cpu_s"] / tasks, 4),
            "enqueue_one_by_one_per_s": round(_program(folder, APP, SINGLES, "one_by_one", store=fresh())["per_s"]),
            "enqueue_bulk_per_s": round(_program(folder, APP, tasks, "bulk", store=fresh())["per_s"]),
            **_latencies("latency", here),
            **_latencies("latency_elsewhere", elsewhere),
        }


def _of_peer(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The run of the middle rate; one that was skipped only when all were."""
    done = sorted((run for run in runs if "skipped" not in run), key=lambda run: run["tasks_per_s"])
    if not done:
        return runs[0]
    return {**done[len(done) // 2], "tasks_per_s_all": [run["tasks_per_s"] for run in done]}


def _turn(tasks: int) -> dict[str, float]:
    floor = _run("benchmarks.floor", tasks)
    ours = _run(APP, tasks, "through")
    for one in (floor, ours):
        if one["tasks"] != tasks:
            raise RuntimeError(f"{one['tasks']} of {tasks} results are stored")
    here, elsewhere = _run(APP, PROBES, "latency"), _elsewhere()
    rate, bound = tasks / ours["seconds"], tasks / floor["seconds"]
    return {
        "tasks_per_s": round(rate),
        "floor_per_s": round(bound),
        "floor_ratio": round(rate / bound, 4),
        "cpu_s_per_1000": round(1000 * ours["cpu_s"] / tasks, 4),
        "floor_cpu_s_per_1000": round(1000 * floor["cpu_s"] / tasks, 4),
        "floor_cpu_ratio": round(floor["cpu_s"] / ours["cpu_s"], 4),
        "enqueue_one_by_one_per_s": round(_run(APP, SINGLES, "one_by_one")["per_s"]),
        "enqueue_bulk_per_s": round(_run(APP, tasks, "bulk")["per_s"]),
        "map_per_s": round(tasks / _run(APP, tasks, "mapped")["seconds"]),
        **_latencies("latency", here),
        **_latencies("latency_elsewhere", elsewhere),
    }


def _run(module: str, n: int, *program: str) -> dict[str, Any]:
    with workplace() as folder:
        return _program(folder, module, n, *program)


def _program(
    folder: Path, module: str, n: int, *program: str, store: str | None = None, server: int | None = None
) -> dict[str, Any]:
    """One program in a process of its own; on a store in this folder, or on another one, whose ``server``'s CPU it
    tells, too."""
    store = store or (str(folder / "queue.db") if module != APP else _store(folder))
    done = subprocess.run(
        [sys.executable, "-m", module, *program, store, str(n)],
        cwd=ROOT,
        env={**_surroundings(), **({} if server is None else {SERVER: str(server)})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module} {program}: exit {done.returncode}: {done.stderr[-2000:]}")
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def _elsewhere() -> dict[str, Any]:
    with workplace() as folder, _worker(folder, _store(folder)):
        return _program(folder, APP, PROBES, "latency_elsewhere")


@contextmanager
def _worker(folder: Path, store: str) -> Iterator[None]:
    """``laneway worker``, until the block ends."""
    worker = subprocess.Popen(
        command("worker", "--app", f"{APP}:lw", "--store", store),
        cwd=ROOT,
        env=_surroundings(),
        stderr=subprocess.DEVNULL,
    )
    try:
        _await_worker(store, worker)
        yield
    finally:
        worker.terminate()
        worker.wait(30)


def _await_worker(store: str, worker: subprocess.Popen[bytes]) -> None:
    """Until ``laneway status`` knows of it; looking takes a fifth of a second."""
    look = command("status", "--json", "--store", store)
    until = time.monotonic() + WORKER_S
    while time.monotonic() < until and worker.poll() is None:
        if json.loads(subprocess.run(look, env=_surroundings(), capture_output=True, check=True).stdout)["workers"]:
            return
    raise RuntimeError(f"no worker is there after {WORKER_S:g} s")


def _store(folder: Path) -> str:
    return f"sqlite:///{folder / 'queue.db'}"


def _surroundings() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")}


def _latencies(name: str, said: dict[str, Any]) -> dict[str, float]:
    starts = sorted(said["start_ms"])
    return {
        f"{name}_p50_ms": round(statistics.median(starts), 3),
        f"{name}_p95_ms": round(starts[int(0.95 * len(starts))], 3),
        f"{name}_result_p50_ms": round(statistics.median(said["result_ms"]), 3),
    }


def _median(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4)
