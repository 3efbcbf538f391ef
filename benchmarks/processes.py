"""CPU time of processes and their children, from ``/proc`` (Linux). Standard library only: the peers import it too."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

PROC = Path("/proc")
SERVER = "BENCHMARK_SERVER"  # the variable that tells a measured program whose CPU counts besides its own


def cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process so far, those of children that it has waited for included."""
    return _used(_fields(pid))


def tree_cpu_s(pid: int) -> float:
    """The same of a process and all that descend from it and are still there. What a child of a child that is gone
    used is in it too, as long as each was waited for."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                fields = _fields(int(entry.name))
            except OSError:
                continue  # it has just ended
            children[int(fields[1])].append(int(entry.name))
            used[int(entry.name)] = _used(fields)
    total, left = 0.0, [pid]
    while left:
        one = left.pop()
        total += used.get(one, 0.0)
        left += children[one]
    return total


def _fields(pid: int) -> list[bytes]:
    """Of ``/proc/PID/stat``, from the state on: the name before it may hold spaces."""
    return (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()


def _used(fields: list[bytes]) -> float:
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
