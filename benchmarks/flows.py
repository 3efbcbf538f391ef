"""Durable flows: documents over the ideal's time, kill -9 at random moments, flows that do nothing, LangGraph and DBOS.

``--store postgresql``: on a PostgreSQL of its own, two worker processes; the peers have SQLite only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import peers as others
from benchmarks.common import environment
from benchmarks.documents import calls, longest_path_s
from benchmarks.flows_bound import bound_s
from benchmarks.flows_places import PATIENCE_S, ROOT, WORKER_S, Place, place
from benchmarks.killing import Program, Survival, survive
from benchmarks.peers.flows import FLOWS, PACKAGES

PARTS = ("documents", "kills", "many", "peers")
DOCUMENTS, RPM = 500, 4800.0
SINGLES = 5
KILLED, KILLS, PEER_KILLS = 200, 50, 20
PACE, IN_FLIGHT = 4.0, 8  # of what is killed: latencies are divided by it; calls at once, so that it takes some time
PEER_DOCUMENTS = 4  # under way at once when it is killed: each has up to four calls in flight
UNDER_WAY = 200  # documents of a peer that are under way at once while a limit holds them back
LIFE_S = (0.2, 4.0)  # between two kills in a fleet: a newcomer needs a moment until it has its part
MANY = {"sqlite": 100_000, "postgresql": 20_000}
DEPTH = 50


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite", help="(default: %(default)s)")
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; may be given again")
    parser.add_argument("--flows", type=int, help="that do nothing (default: 100,000; 20,000 on PostgreSQL)")
    parser.add_argument("--kills", type=int, default=KILLS, help="of ours (default: %(default)s)")
    others.option(parser)


def run(
    repeat: int,
    store: str = "sqlite",
    only: Sequence[str] | None = None,
    flows: int | None = None,
    kills: int = KILLS,
    peers: str = "once",
) -> dict[str, Any]:
    """``bound_ratio``: 500 documents, first submit to last result, over the ideal; ``…_by_age``: over the ideal in the
    order that flows promise. ``one_document_ratio``: one alone, on a worker that idles, over its longest path.
    ``crew_saving``: what a crew saves of one agent's time on the same calls. ``repeated_after_kill``: calls seen by the
    simulator above those needed and those that were claimed and unsettled at the kills. ``flows_per_s``: of four
    children that do nothing, queued first, then drained; ``cpu_ms_per_flow`` is the whole process's, which other work
    on the machine moves less."""
    parts = list(only or PARTS)
    said: dict[str, Any] = {"store": store}
    if "documents" in parts:
        said |= _documents([_documents_once(store) for _ in range(repeat)])
    if "kills" in parts:
        said |= _kills(store, kills)
    if "many" in parts:
        said |= _many(store, flows or MANY[store], repeat)
    if "peers" in parts:
        said["peers"] = _peers(store, peers, repeat)
    return said


# Documents, one document, a crew --------------------------------------------------------------------------------------
def _documents_once(store: str) -> dict[str, Any]:
    with place(store, requests_per_minute=RPM) as here, _fleet(here, store):
        said = here.run("through", DOCUMENTS, elsewhere=_elsewhere(store))
        stats = here.simulator.stats()
    with place(store, requests_per_minute=RPM) as here, _fleet(here, store):
        alone = here.run("alone", SINGLES, elsewhere=_elsewhere(store))
    return {
        **said,
        "calls_over": stats["completed"] - calls(DOCUMENTS),
        "rate_limited": stats["rate_limited"],
        "per_second": stats["per_second"],
        "one_document_s": statistics.median(alone["seconds"]),
        "one_document_s_all": alone["seconds"],
        "crew_s": alone["crew"],
        "single_agent_s": alone["single_agent"],
    }


def _documents(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    best, by_age = bound_s(DOCUMENTS, RPM)
    seconds, one = _median(runs, "seconds"), _median(runs, "one_document_s")
    path = longest_path_s(review=False)
    return {
        "bound_ratio": round(seconds / best, 4),
        "bound_ratio_by_age": round(seconds / by_age, 4),
        "seconds": seconds,
        "ideal_s": round(best, 3),
        "ideal_by_age_s": round(by_age, 3),
        "rate_limited": sum(one["rate_limited"] for one in runs),
        "calls_over": max(one["calls_over"] for one in runs),
        "one_document_s": one,
        "one_document_ratio": round(one / path, 4),
        "one_document_may_take_s": round(1.1 * path + 0.1, 3),
        "crew_saving": round(1 - _median(runs, "crew_s") / _median(runs, "single_agent_s"), 4),
        "documents": DOCUMENTS,
        "runs": runs,
    }


# Kills ----------------------------------------------------------------------------------------------------------------
def _kills(store: str, kills: int) -> dict[str, Any]:
    """In rounds, each on a fresh store, until there were so many."""
    whole = _undisturbed(store)
    rounds: list[dict[str, Any]] = []
    while (left := kills - sum(one["kills"] for one in rounds)) > 0:
        rounds.append(_killed(store, left, len(rounds)))
        if not rounds[-1]["kills"]:
            raise RuntimeError("it ended before it could be killed")
    return {
        "kills": sum(one["kills"] for one in rounds),
        "lost": sum(KILLED - one["flows_ended"] for one in rounds),
        "recorded_twice": sum(one["recorded_twice"] for one in rounds),
        "repeated_after_kill": max(one["repeated"] - one["claimed_and_unsettled"] for one in rounds),
        "results_equal": all(one["digest"] == whole for one in rounds),
        "faults": [fault for one in rounds for fault in one["faults"]],
        "kill_rounds": rounds,
    }


def _undisturbed(store: str) -> str:
    with place(store, concurrency=10 * IN_FLIGHT, pace=PACE) as here:
        digest: str = here.run("through", KILLED)["digest"]
        return digest


def _killed(store: str, kills: int, seed: int) -> dict[str, Any]:
    with place(store, concurrency=IN_FLIGHT, pace=PACE) as here:
        if store == "sqlite":
            survival = survive(here.program("through", KILLED), here.simulator, kills, seed, PATIENCE_S)
        else:
            survival = _survive_fleet(here, kills, seed)
        return {**here.run("ledger", KILLED, elsewhere=True), **_survived(survival, here)}


def _survived(survival: Survival, here: Place) -> dict[str, Any]:
    return {
        "kills": survival.kills,
        "seconds_of_last_life": survival.said["seconds"],
        "ended": survival.said["ended"],
        "digest": survival.said["digest"],
        "calls": here.simulator.stats()["requests"],
        "repeated": here.simulator.stats()["requests"] - calls(KILLED),
        "in_flight_at_kills": survival.in_flight,
        "cpu_s": round(survival.cpu_s, 2),
    }


def _survive_fleet(here: Place, kills: int, seed: int) -> Survival:
    """Two workers, one of which is killed and replaced again and again; whoever submitted waits for the results."""
    rng, survival = random.Random(seed), Survival({})
    give_up = time.monotonic() + PATIENCE_S
    with here.workers(2) as fleet:
        program = here.program("through", KILLED, elsewhere=True)
        with program.start(subprocess.DEVNULL) as waiting:
            try:
                while waiting.poll() is None and time.monotonic() < give_up:
                    moment = time.monotonic() + rng.uniform(*LIFE_S)
                    while waiting.poll() is None and time.monotonic() < moment:
                        time.sleep(0.02)
                    if waiting.poll() is None and survival.kills < kills:
                        one = rng.randrange(2)
                        os.killpg(fleet[one].pid, signal.SIGKILL)
                        fleet[one].wait()
                        survival.kills += 1
                        fleet[one] = here.worker()
                out, _ = waiting.communicate(timeout=WORKER_S)
            finally:
                waiting.kill()
        if waiting.returncode or not out:
            raise RuntimeError(f"the documents did not end: exit {waiting.returncode}")
        survival.said = json.loads(out.splitlines()[-1])
    return survival


# Flows that do nothing ------------------------------------------------------------------------------------------------
def _many(store: str, n: int, repeat: int) -> dict[str, Any]:
    runs = []
    for _ in range(repeat):
        with place(store) as here:
            said = here.run("many", n)
        if said["faults"]:
            raise RuntimeError(f"the books do not agree: {said['faults']}")
        rate, cpu_ms = round(n / said["drain_s"], 1), round(1000 * said["cpu_s"] / n, 3)
        runs.append({**said, "flows_per_s": rate, "cpu_ms_per_flow": cpu_ms})
    with place(store, concurrency=1, pace=10.0) as here:
        nested = here.run("nested", DEPTH)
    return {
        "flows_per_s": _median(runs, "flows_per_s"),
        "flows_per_s_with_submit": round(n / statistics.median(one["submit_s"] + one["drain_s"] for one in runs), 1),
        "cpu_ms_per_flow": _median(runs, "cpu_ms_per_flow"),
        "peak_mb": max(one["peak_mb"] for one in runs),
        "flows": n,
        "chain_ended": nested["depth"] == DEPTH,
        "chain_s": nested["seconds"],
        "many_runs": runs,
    }


# Peers ----------------------------------------------------------------------------------------------------------------
def _peers(store: str, wanted: str, repeat: int) -> dict[str, Any]:
    """Each on the same documents: as many as ``documents`` has, with the account's limit; then fewer, killed."""
    if store != "sqlite":
        return {"missing": "they are measured on SQLite"}
    missing = "not asked for" if wanted == "none" else others.missing()
    if missing is not None:
        return {"missing": missing}
    turns = 1 if wanted == "once" else repeat
    told = {name: [_peer(name) for _ in range(turns)] for name in FLOWS}
    said: dict[str, Any] = {name: {"about": FLOWS[name], **_middle(runs)} for name, runs in told.items()}
    said["laneway"] = _middle([_ours_beside() for _ in range(turns)])
    said["results_equal"] = len({one["digest"] for one in said.values()}) == 1
    return {**said, "versions": others.versions(*PACKAGES), "missing": None}


def _middle(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return sorted(runs, key=lambda one: one["seconds"])[len(runs) // 2]


def _peer(name: str) -> dict[str, Any]:
    def program(here: Place, n: int, under_way: int, rpm: float | None) -> Program:
        job = {
            "url": here.simulator.url,
            "folder": str(here.folder),
            "documents": n,
            "at_once": under_way,
            "requests_per_minute": rpm,
        }
        told = [str(others.python()), "-m", "benchmarks.peers.flows", name, json.dumps(job)]
        ours = environment("", PYTHONPATH=str(ROOT), LANGGRAPH_STRICT_MSGPACK="true")
        return Program(told, here.folder, {key: value for key, value in ours.items() if not key.startswith("OPENAI_")})

    return _beside(
        lambda here: program(here, DOCUMENTS, UNDER_WAY, RPM), lambda here: program(here, KILLED, PEER_DOCUMENTS, None)
    )


def _ours_beside() -> dict[str, Any]:
    return _beside(lambda here: here.program("through", DOCUMENTS), lambda here: here.program("through", KILLED))


def _beside(whole: Callable[[Place], Program], killed: Callable[[Place], Program]) -> dict[str, Any]:
    """Undisturbed, and killed."""
    with place(requests_per_minute=RPM) as here:
        said = survive(whole(here), here.simulator, 0, 0, PATIENCE_S).said
        stats = here.simulator.stats()
    with place(concurrency=IN_FLIGHT, pace=PACE) as here:
        survived = _survived(survive(killed(here), here.simulator, PEER_KILLS, 0, PATIENCE_S), here)
    return {
        "seconds": said["seconds"],
        "ratio": round(said["seconds"] / bound_s(DOCUMENTS, RPM)[0], 4),
        "cpu_s": said["cpu_s"],
        "ended": said["ended"],
        "digest": said["digest"],
        "rate_limited": stats["rate_limited"],
        "calls_over": stats["completed"] - calls(DOCUMENTS),
        "kills": survived["kills"],
        "repeated_after_kill": survived["repeated"],
        "in_flight_at_kills": survived["in_flight_at_kills"],
        "paid_again": survived["repeated"] - survived["in_flight_at_kills"],
        "cpu_s_killed": survived["cpu_s"],
        "digest_killed": survived["digest"],
    }


# --------------------------------------------------------------------------------------------------------------------
def _elsewhere(store: str) -> bool:
    return store != "sqlite"


def _fleet(here: Place, store: str) -> Any:
    """The workers: on SQLite the program itself is one."""
    return here.workers(2 if _elsewhere(store) else 0)


def _median(runs: Sequence[dict[str, Any]], name: str) -> float:
    return round(statistics.median([float(one[name]) for one in runs]), 4)
