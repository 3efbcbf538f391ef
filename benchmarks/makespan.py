"""Eight mixes of limits, 1,500 to 1,800 tasks each: time over the ideal dispatcher's, refusals, and peers beside it."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from benchmarks import peers as others
from benchmarks.common import laneway, workplace
from benchmarks.ideal import Ideal
from benchmarks.mixes import MIXES, Mix
from laneway.simulator.process import SimulatorProcess

PATIENCE, START_S = 4.0, 15.0  # times the ideal and, for its imports, seconds; then a peer is stopped


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", action="append", choices=list(MIXES), help="this mix; may be given again")
    parser.add_argument("--seed", type=int, default=0, help="another draw of all sizes and latencies (default: 0)")
    others.option(parser, "; they take up to four times as long as we do")


def run(repeat: int, only: Sequence[str] | None = None, seed: int = 0, peers: str = "once") -> dict[str, Any]:
    """``seconds`` is the command's own figure, first submit to last settle; a peer's is from its first call to its
    last answer, its imports not counted. ``rate_limited`` is the simulator's count."""
    names = list(only or MIXES)
    beside = [] if peers == "none" else _ready()
    mixes = {name: MIXES[name](100 * seed) for name in names}
    ideals = {name: mix.ideal() for name, mix in mixes.items()}
    ours: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    theirs: dict[str, dict[str, list[dict[str, Any]]]] = {name: {peer: [] for peer in beside} for name in names}
    for turn in range(repeat):
        for name, mix in mixes.items():
            ours[name].append(_ours(mix))
            if beside and (turn == 0 or peers != "once"):
                for peer, run in zip(beside, _all_of_them(beside, mix, ideals[name]), strict=True):
                    theirs[name][peer].append(run)
    told = [_told(mixes[name], ideals[name], ours[name], theirs[name]) for name in names]
    return {
        "worst_ratio": max(mix["ratio"] for mix in told),
        "rate_limited": sum(mix["rate_limited"] for mix in told),
        "seed": seed,
        "measured": "first submit to last settle, over an event simulation of the same work",
        "mixes": told,
        "peers": _peers(beside, told),
    }


def _ready() -> list[str]:
    return list(others.PEERS) if others.ready() else []


@contextmanager
def _simulators(mix: Mix) -> Iterator[dict[str, SimulatorProcess]]:
    """Fresh ones: their buckets full, their numbering at 1."""
    with workplace() as folder:
        made = {}
        for account, given in mix.servers.items():
            options = dict(given)
            if "models" in options:
                file = folder / f"{account}.json"
                file.write_text(json.dumps(options["models"]))
                options["models"] = file
            made[account] = SimulatorProcess(**options)
        with ExitStack() as running:
            for process in made.values():
                running.enter_context(process)
            yield made


def _ours(mix: Mix) -> dict[str, Any]:
    with workplace() as folder, _simulators(mix) as simulators:
        file = mix.write(folder / "tasks.jsonl")
        (folder / "laneway.toml").write_text(mix.config({name: one.url for name, one in simulators.items()}))
        said = laneway(folder, "", "run", file.name, env={"KEY": "sk-benchmark"}, allowed=(0, 1))
        return {
            "seconds": said["seconds"],
            "wall_s": said["wall_s"],
            "succeeded": said["tasks"]["succeeded"],
            "failed": said["tasks"]["failed"],
            "bound_by": said["bound_by"],
            **_counted(simulators),
        }


def _all_of_them(beside: Sequence[str], mix: Mix, best: Ideal) -> list[dict[str, Any]]:
    """All peers at the same time, each on simulators of its own: one after another they would take an hour, and all
    together keep about one CPU busy (``cpu_s``)."""
    with ThreadPoolExecutor(len(beside)) as threads:
        return list(threads.map(lambda peer: _theirs(peer, mix, best), beside))


def _theirs(peer: str, mix: Mix, best: Ideal) -> dict[str, Any]:
    with _simulators(mix) as simulators:
        job = mix.job({name: one.url for name, one in simulators.items()}, best)
        said = others.run(peer, job, PATIENCE * best.makespan + START_S)
        return {**said, **_counted(simulators)}


def _counted(simulators: Mapping[str, SimulatorProcess]) -> dict[str, Any]:
    stats = [one.stats() for one in simulators.values()]
    return {
        "calls": sum(one["requests"] for one in stats),
        "rate_limited": sum(one["rate_limited"] for one in stats),
        "answered": sum(one["completed"] for one in stats),
        "per_second": _added([one["per_second"] for one in stats]),
    }


def _added(series: Sequence[Sequence[int]]) -> list[int]:
    """Arrivals in each second, over all simulators, from the first arrival."""
    length = max(map(len, series), default=0)
    total = [sum(one[i] for one in series if i < len(one)) for i in range(length)]
    while total and not total[0]:
        del total[0]
    return total


def _told(
    mix: Mix, best: Ideal, ours: Sequence[Mapping[str, Any]], theirs: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    seconds = statistics.median(one["seconds"] for one in ours)
    return {
        "mix": mix.name,
        "about": mix.about,
        "tasks": len(mix.requests),
        "ideal_s": round(best.makespan, 3),
        "seconds": seconds,
        "ratio": round(seconds / best.makespan, 4),
        "seconds_all": [one["seconds"] for one in ours],
        "wall_s": statistics.median(one["wall_s"] for one in ours),
        "rate_limited": sum(one["rate_limited"] for one in ours),
        "failed": sum(one["failed"] for one in ours),
        "calls": [one["calls"] for one in ours],
        "bound_by": ours[0]["bound_by"],
        "per_second": ours[0]["per_second"],
        "ideal_per_second": _per_second(best),
        "peers": {peer: _median_run(runs, len(mix.requests), best) for peer, runs in theirs.items() if runs},
    }


def _per_second(best: Ideal) -> list[int]:
    last = max((int(start.at) for start in best.starts), default=-1)
    counts = [0] * (last + 1)
    for start in best.starts:
        counts[int(start.at)] += 1
    return counts


def _median_run(runs: Sequence[Mapping[str, Any]], tasks: int, best: Ideal) -> dict[str, Any]:
    """The run whose time is the median's, the later of two. ``ratio`` is None where requests failed or it was stopped;
    ``ratio_per_answer`` is its time for each answer it got, over the ideal's."""
    one = sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]
    ratio = one["seconds"] / best.makespan
    return {
        **one,
        "failed": tasks - one["answered"] if one["stopped"] else one["failed"],
        "ratio": None if one["stopped"] or one["failed"] else round(ratio, 4),
        "ratio_per_answer": round(ratio * tasks / max(1, min(tasks, one["answered"])), 4),
        "seconds_all": [run["seconds"] for run in runs],
    }


def _peers(beside: Sequence[str], mixes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Each peer over all mixes; ``missing`` says why there are none."""
    if not beside:
        return {"missing": others.missing() or "not asked for"}
    summed: dict[str, Any] = {"versions": others.versions("openai", "litellm", "aiohttp")}
    for peer in beside:
        runs = [mix["peers"][peer] for mix in mixes]
        summed[peer] = {
            "about": others.PEERS[peer],
            "worst_ratio_per_answer": max(run["ratio_per_answer"] for run in runs),
            "rate_limited": sum(run["rate_limited"] for run in runs),
            "failed": sum(run["failed"] for run in runs),
            "stopped": sum(run["stopped"] for run in runs),
        }
    return summed
