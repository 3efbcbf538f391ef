"""What the store's maintained counters say of the whole fleet, as Prometheus's metric families."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from laneway.app.standing import Standing, standings
from laneway.app.views.workers import facts
from laneway.server.tally_metrics import TallyMetrics
from laneway.store.cells import CellTally
from laneway.store.steering import PauseKind
from laneway.task import State

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

MOST_NAMES = 100  # of lanes, models, types: clients may choose them
OTHER = "other"
Held = set[tuple[PauseKind, str]]  # what somebody paused


class Names:
    """At most so many different ones, those of the config always. A name that was once shown stays."""

    def __init__(self, configured: Iterable[str], most: int = MOST_NAMES) -> None:
        self._known = set(configured)
        self._most = max(most, len(self._known))

    def __call__(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


class FleetMetrics:
    def __init__(self, lw: Laneway) -> None:
        self._lw = lw
        self._names: dict[str, Names] = {}
        self._tallies = TallyMetrics(lw, self.name)

    def name(self, kind: str, name: str) -> str:
        if kind not in self._names:
            config = self._lw.config
            known: dict[str, Iterable[str]] = {
                "lane": config.lanes,
                "model": config.models,
                "type": config.types,
                "account": config.accounts,
            }
            self._names[kind] = Names(known[kind])
        return self._names[kind](name)

    async def read(self) -> list[Metric]:
        """Raises StoreError."""
        store, now = self._lw.store, self._lw.clock.now()
        held = {(pause.kind, pause.name) for pause in await store.pauses() if pause.since is not None}
        cells = await store.tally(aside=True)
        workers = [one for one in await store.workers(now) if one.lease_until > now]
        accounts = await store.states("account:")
        living = {one.id for one in workers}
        said = [own for worker, own in (await facts(store)).items() if worker in living]
        return [
            *self._tasks(cells),
            self._queue_depth(cells, held),
            GaugeMetricFamily("laneway_workers", "Worker processes whose lease holds.", len(workers)),
            GaugeMetricFamily(
                "laneway_workers_heartbeat_age_seconds",
                "Of the worker that was heard of least lately.",
                max((now - one.heartbeat_at for one in workers), default=0.0),
            ),
            *self._accounts(accounts, held),
            *self._use(said),
            *await self._tallies.read(now),
            *budgets(await standings(self._lw.config, store, now)),
        ]

    def _tasks(self, cells: Iterable[CellTally]) -> Iterable[Metric]:
        counts = Counter[tuple[str, ...]]()
        for cell in cells:
            place = self.name("lane", cell.lane), cell.urgency.label, self.name("model", cell.model)
            for state in State:
                counts[*place, state.value] += cell.counts.get(state, 0)
        family = GaugeMetricFamily(
            "laneway_tasks", "Tasks in the store, by state.", labels=["lane", "urgency", "model", "state"]
        )
        for labels, n in counts.items():
            family.add_metric(labels, n)
        yield family

    def _queue_depth(self, cells: Iterable[CellTally], held: Held) -> Metric:
        depth = Counter[tuple[str, str]]()
        for cell in cells:
            place = self.name("lane", cell.lane), cell.urgency.label
            if not held & {(PauseKind.RUN, str(cell.run_id)), (PauseKind.LANE, cell.lane)}:
                depth[place] += cell.counts.get(State.READY, 0)
            else:
                depth[place] += 0
        family = GaugeMetricFamily(
            "laneway_queue_depth",
            "Tasks that are ready and wait for a worker or a limit; without those of paused lanes and runs.",
            labels=["lane", "urgency"],
        )
        for labels, n in depth.items():
            family.add_metric(labels, n)
        return family

    def _accounts(self, states: Mapping[str, tuple[Mapping[str, Any], float]], held: Held) -> Iterable[Metric]:
        paused = GaugeMetricFamily(
            "laneway_account_paused", "1 while nothing is sent to it.", labels=["account", "reason"]
        )
        down = GaugeMetricFamily("laneway_account_circuit_open", "1 while it is taken to be down.", labels=["account"])
        limit = GaugeMetricFamily(
            "laneway_account_limit", "Limits that are configured, stated or found.", labels=["account", "limit"]
        )
        for name, (state, _) in states.items():
            account = self.name("account", name)
            if account == OTHER:
                continue
            paused.add_metric([account, "by_hand"], (PauseKind.ACCOUNT, name) in held)
            paused.add_metric([account, "failure"], bool(state.get("paused")))
            down.add_metric([account], bool(state.get("down")))
            limits = {**(state.get("limits") or {}), **(state.get("found") or {})}
            for kind, value in limits.items():
                if isinstance(value, int | float):
                    limit.add_metric([account, kind], value)
        return paused, down, limit

    def _use(self, said: Iterable[Mapping[str, Any]]) -> Iterable[Metric]:
        """``said``: what living workers last said of themselves, some seconds ago."""
        in_flight = GaugeMetricFamily("laneway_account_in_flight", "Calls under way.", labels=["account"])
        use = GaugeMetricFamily(
            "laneway_account_limit_use_ratio",
            "Of the worker that uses most of its part of the limit.",
            labels=["account", "limit"],
        )
        flying, used = Counter[str](), dict[tuple[str, str], float]()
        for own in said:
            for name, one in (own.get("accounts") or {}).items():
                if (account := self.name("account", name)) != OTHER:
                    flying[account] += int(one.get("in_flight") or 0)
                    for limit, share in (one.get("use") or {}).items():
                        used[account, limit] = max(float(share), used.get((account, limit), 0.0))
        for account, n in flying.items():
            in_flight.add_metric([account], n)
        for place, share in used.items():
            use.add_metric(place, share)
        return in_flight, use


def budgets(found: Iterable[Standing]) -> Iterable[Metric]:
    limit = GaugeMetricFamily("laneway_budget_usd", "Budgets of the day (UTC).", labels=["kind", "name"])
    spent = GaugeMetricFamily("laneway_budget_spent_usd", "Of it, spent today.", labels=["kind", "name"])
    for one in found:
        labels = [one.budget.kind.value, one.budget.name]
        limit.add_metric(labels, one.limit)
        spent.add_metric(labels, one.spending.spent)
    return limit, spent
