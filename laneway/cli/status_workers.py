"""The fleet in ``laneway status``: the workers, whether they live, what each runs and has of the accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from laneway.cli.ago import ago

if TYPE_CHECKING:
    from laneway.store.workers import Doing, Part, WorkerInfo


def worker_data(
    workers: Sequence[WorkerInfo], doing: Sequence[Doing], parts: Sequence[Part], now: float
) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "host": one.host,
            "pid": one.pid,
            "joined_at": one.joined_at,
            "running": one.running,
            "heartbeat_age_s": round(now - one.heartbeat_at, 1),
            "lease": "held" if one.lease_until > now else "over",
            "lease_s": round(one.lease_until - now, 1),
            "lanes": {
                its.lane: {"running": its.running, "oldest_s": None if its.since is None else round(now - its.since, 1)}
                for its in doing
                if its.worker == one.id
            },
            "accounts": {
                its.account: {"share": round(its.share, 4), "slots": its.slots} for its in parts if its.worker == one.id
            },
        }
        for one in workers
    ]


def worker_lines(worker: Mapping[str, Any], now: float) -> list[str]:
    """For people, in 80 columns where lanes and accounts have short names."""
    said = f"worker {worker['id']}: {worker['running']:,} running, heartbeat {worker['heartbeat_age_s']} s ago"
    if worker["lease"] == "over":
        said += ", its lease is over"
    lines = [said]
    for lane, its in worker["lanes"].items():
        oldest = "" if its["oldest_s"] is None else f", the oldest began {ago(now - its['oldest_s'], now)}"
        lines.append(f"    lane {lane}: {its['running']:,} running{oldest}")
    for account, its in worker["accounts"].items():
        slots = f", {its['slots']:,} slots" if its["slots"] else ""
        lines.append(f"    account {account}: {its['share']:.0%} of its limits{slots}")
    return lines
