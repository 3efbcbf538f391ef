"""Workers: whether they live, what each has in flight, and what holds it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laneway.app.views.figures import Shown
from laneway.store.teams import ALL, OfTeam

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.interface import Store


@dataclass(frozen=True, slots=True)
class InLane(Shown):
    lane: str
    running: int
    oldest_s: float | None  # since the oldest of these calls began


@dataclass(frozen=True, slots=True)
class OfAccount(Shown):
    account: str
    share: float  # of its limits a minute, 0 to 1
    slots: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Worker(Shown):
    """What it says of itself is some seconds old; None before it has said it."""

    id: str
    host: str
    pid: int
    joined_at: float
    heartbeat_age_s: float
    lease_s: float  # how long others still take it for living; negative: it is over
    running: int
    utilisation: float | None  # of the tasks that it may have in flight, 0 to 1
    cpu: float | None  # of a core
    draining: bool
    binds: str | None  # what holds work back here
    lanes: list[InLane]
    accounts: list[OfAccount]

    @property
    def alive(self) -> bool:
        return self.lease_s > 0


async def workers(lw: Laneway, team: OfTeam = ALL) -> list[Worker]:
    """All of them: workers belong to no team."""
    store, now = lw.store, lw.clock.now()
    doing, parts, said = await store.doing(), await store.parts(now), await facts(store)
    found = []
    for one in await store.workers(now):
        own = said.get(one.id, {})
        flying = own.get("accounts") or {}
        most = own.get("most")
        found.append(
            Worker(
                id=one.id,
                host=one.host,
                pid=one.pid,
                joined_at=one.joined_at,
                heartbeat_age_s=round(now - one.heartbeat_at, 1),
                lease_s=round(one.lease_until - now, 1),
                running=one.running,
                utilisation=round(min(1.0, one.running / most), 4) if most else None,
                cpu=own.get("cpu"),
                draining=bool(own.get("draining")),
                binds=own.get("binds"),
                lanes=[
                    InLane(its.lane, its.running, None if its.since is None else round(now - its.since, 1))
                    for its in doing
                    if its.worker == one.id
                ],
                accounts=[
                    OfAccount(its.account, round(its.share, 4), its.slots, _in_flight(flying.get(its.account)))
                    for its in parts
                    if its.worker == one.id
                ],
            )
        )
    return found


async def facts(store: Store) -> dict[str, Mapping[str, Any]]:
    """What workers said of themselves, by worker; the dead may be among them."""
    return {worker: said for worker, (said, _) in (await store.states("worker:")).items()}


def _in_flight(account: Mapping[str, Any] | None) -> int:
    return int((account or {}).get("in_flight") or 0)
