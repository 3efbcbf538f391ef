"""What the service shows, from counters and indexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from laneway.store.paging import by_counters
from laneway.store.postgres import failing
from laneway.store.postgres.base import Base
from laneway.store.postgres.connection import Db, rows, run
from laneway.store.postgres.documents import Documents
from laneway.store.postgres.listing import list_tasks
from laneway.store.postgres.runs import RUN
from laneway.store.postgres.steering import BY_INDEX, conditions, sources
from laneway.store.postgres.transaction import Transaction
from laneway.store.postgres.workers import save_state
from laneway.store.runs import Run
from laneway.store.teams import ALL, Everyone, OfTeam
from laneway.store.views import MOST_KINDS, NO_KIND, Depth, FailureCount, RouteCount, TaskFilter, TaskPage
from laneway.task import State, Urgency

_COUNTERS = ", ".join(f"coalesce(sum(n.{state.value}), 0)::bigint" for state in State)
_CELLS = "FROM laneway.cell c JOIN laneway.cell_count n ON n.cell_id = c.id"
_TEAMS_RUNS = "SELECT id FROM laneway.run WHERE info ->> 'team' IS NOT DISTINCT FROM %(team)s::text"
_OF_TEAM = f"(%(everyone)s OR c.run_id IN ({_TEAMS_RUNS}))"
FAILURES = """
    WITH n AS (
        SELECT failure_id, count(*) AS tasks, max(id) AS newest FROM laneway.task
        WHERE state = 'failed' AND failure_id {}
        GROUP BY failure_id ORDER BY tasks DESC, newest DESC LIMIT %(limit)s
    )
    SELECT f.class, f.code, f.task_type, f.model, f.lane, f.run_id, n.tasks, n.newest,
           coalesce(r.error ->> 'message', '')
    FROM n JOIN laneway.failure f ON f.id = n.failure_id JOIN laneway.task t ON t.id = n.newest
    LEFT JOIN laneway.result r ON r.seq = t.result_seq
    ORDER BY n.tasks DESC, n.newest DESC
"""
RUNS = f"""
    {RUN} WHERE (%(everyone)s OR r.info ->> 'team' IS NOT DISTINCT FROM %(team)s::text)
        AND (%(below)s::bigint IS NULL OR r.id < %(below)s)
        AND (%(kind)s::text IS NULL OR r.info ->> 'kind' = %(kind)s)
    ORDER BY r.id DESC LIMIT %(limit)s
"""
COUNTED = f"SELECT {_COUNTERS} {_CELLS} WHERE NOT c.shelf"
RUN_COUNTS = f"SELECT c.run_id, {_COUNTERS} {_CELLS} WHERE c.run_id = ANY(%s) AND NOT c.shelf GROUP BY 1"
DEPTHS = f"SELECT c.model, c.lane, c.urgency, {_COUNTERS} {_CELLS} WHERE NOT c.shelf AND {_OF_TEAM} GROUP BY 1, 2, 3"
OLDEST = f"""
    WITH busy AS (
        SELECT cell_id FROM laneway.cell_count GROUP BY cell_id HAVING sum(ready) > 0
    )
    SELECT c.lane, min(p.submitted_at) FROM busy JOIN laneway.cell c ON c.id = busy.cell_id
    CROSS JOIN LATERAL (
        SELECT id FROM laneway.task WHERE cell_id = c.id AND state = 'ready' ORDER BY due_at, id LIMIT 1
    ) first JOIN laneway.payload p ON p.task_id = first.id
    WHERE (NOT c.shelf OR c.aside) AND {_OF_TEAM} GROUP BY 1
"""
ROUTES = f"""
    SELECT p.route_id, count(*)
    FROM (SELECT id, cell_id FROM laneway.task ORDER BY id DESC LIMIT %(most)s) t
    JOIN laneway.cell c ON c.id = t.cell_id AND NOT c.aside JOIN laneway.payload p ON p.task_id = t.id
    WHERE {_OF_TEAM} GROUP BY 1 ORDER BY 2 DESC
"""
FORGET = """
    DELETE FROM laneway.state s WHERE starts_with(s.name, 'worker:')
    AND NOT EXISTS (SELECT 1 FROM laneway.worker w WHERE w.id = substr(s.name, 8))
"""


class Views(Base):
    """These verbs of the store."""

    async def failure_groups(self, *, run_id: int | None = None, team: OfTeam = ALL) -> list[FailureCount]:
        if await self._read(failing.any_unnamed):
            await self._writer.write(failing.fill)
        return await self._read_long(lambda db: failure_groups(db, run_id, team))

    async def list_tasks(self, filter: TaskFilter, cursor: int | None, limit: int) -> TaskPage:
        return await self._read_long(lambda db: list_tasks(db, filter, cursor, limit))

    async def count_tasks(self, filter: TaskFilter) -> Mapping[State, int]:
        return await self._read_long(lambda db: count_tasks(db, filter))

    async def list_runs(
        self, cursor: int | None, limit: int, *, team: OfTeam = ALL, kind: str | None = None
    ) -> list[Run]:
        bindings = {**_team(team), "below": cursor, "kind": kind, "limit": limit}
        return await self._read_long(lambda db: [Run(*row) for row in rows(db, RUNS, bindings)])

    async def run_counts(self, run_ids: Sequence[int]) -> Mapping[int, Mapping[State, int]]:
        return await self._read_long(
            lambda db: {run_id: _counts(counts) for run_id, *counts in rows(db, RUN_COUNTS, (list(run_ids),))}
        )

    async def depths(self, *, team: OfTeam = ALL) -> list[Depth]:
        return await self._read_long(
            lambda db: [
                Depth(model, lane, Urgency(urgency), _counts(counts))
                for model, lane, urgency, *counts in rows(db, DEPTHS, _team(team))
            ]
        )

    async def oldest_ready(self, *, team: OfTeam = ALL) -> Mapping[str, float]:
        return await self._read_long(lambda db: dict(rows(db, OLDEST, _team(team))))

    async def newest_routes(self, most: int, *, team: OfTeam = ALL) -> list[RouteCount]:
        return await self._read_long(lambda db: newest_routes(db, self._documents, most, team))

    async def describe_worker(self, worker: str, facts: Mapping[str, Any], now: float) -> None:
        await self._upkeep.write(lambda tx: describe_worker(tx, worker, facts, now))


def describe_worker(tx: Transaction, worker: str, facts: Mapping[str, Any], now: float) -> None:
    save_state(tx, f"worker:{worker}", facts, now)
    run(tx.db, FORGET)


def newest_routes(db: Db, documents: Documents, most: int, team: OfTeam) -> list[RouteCount]:
    found = rows(db, ROUTES, {**_team(team), "most": most})
    documents.read(db, [number for number, _ in found])
    return [RouteCount(documents.route(number), n) for number, n in found]


def failure_groups(db: Db, run_id: int | None, team: OfTeam) -> list[FailureCount]:
    bindings = {**_team(team), "run": run_id, "limit": MOST_KINDS}
    which = f"> {NO_KIND}"  # the index alone
    if run_id is not None or not isinstance(team, Everyone):
        of_run = "true" if run_id is None else "run_id = %(run)s"
        which = f"IN (SELECT id FROM laneway.failure c WHERE {of_run} AND {_OF_TEAM})"
    found = [FailureCount(*row) for row in rows(db, FAILURES.format(which), bindings)]
    unnamed, newest = failing.unnamed(db)
    if unnamed and run_id is None and isinstance(team, Everyone):
        found.append(FailureCount("", "", "", "", "", 0, unnamed, newest))
    return found


def count_tasks(db: Db, s: TaskFilter) -> dict[State, int]:
    counts = Counter[State]()
    if by_counters(s):
        where, bindings = conditions(s._replace(states=(), run_id=None))
        if s.run_id is not None:
            where, bindings = where + " AND c.run_id = %s", [*bindings, s.run_id]
        (row,) = rows(db, COUNTED + where, bindings)
        counts.update(_counts(row))
    else:
        for where, bindings in sources(db, s):
            found = rows(db, _counting(where), bindings)
            counts.update({State(state): n for state, n in found})
    return {state: n for state, n in counts.items() if n and (state in s.states or not s.states)}


def _counting(where: str) -> str:
    if where.startswith(BY_INDEX):  # which does not say what all of its tasks are
        return f"SELECT 'failed', count(*) {where}"
    return f"SELECT t.state, count(*) {where} GROUP BY 1"


def _counts(row: Sequence[int]) -> dict[State, int]:
    return {state: n for state, n in zip(State, row, strict=True) if n}


def _team(team: OfTeam) -> dict[str, Any]:
    return {"everyone": isinstance(team, Everyone), "team": None if isinstance(team, Everyone) else team}
