"""What the service shows, from counters and indexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import apsw
import orjson

from laneway.store.paging import by_counters
from laneway.store.runs import Run
from laneway.store.sqlite import failing
from laneway.store.sqlite.base import Base
from laneway.store.sqlite.listing import list_tasks
from laneway.store.sqlite.runs import RUN, run_of
from laneway.store.sqlite.steering import BY_INDEX, conditions, sources
from laneway.store.sqlite.transaction import Transaction
from laneway.store.sqlite.workers import save_state
from laneway.store.teams import ALL, Everyone, OfTeam
from laneway.store.views import MOST_KINDS, NO_KIND, Depth, FailureCount, RouteCount, TaskFilter, TaskPage
from laneway.task import State, Urgency

_COUNTERS = ", ".join(f"total({state.value})" for state in State)
_OF_TEAM = "(?1 OR c.run_id IN (SELECT id FROM run WHERE info ->> '$.team' IS ?2))"
FAILURES = """
    WITH n AS (
        SELECT failure_id, count(*) AS tasks, max(id) AS newest FROM task
        WHERE state = 'failed' AND failure_id {}
        GROUP BY failure_id ORDER BY tasks DESC, newest DESC LIMIT ?4
    )
    SELECT f.class, f.code, f.task_type, f.model, f.lane, f.run_id, n.tasks, n.newest,
           coalesce(r.error ->> '$.message', '')
    FROM n JOIN failure f ON f.id = n.failure_id JOIN task t ON t.id = n.newest
    LEFT JOIN result r ON r.seq = t.result_seq
    ORDER BY n.tasks DESC, n.newest DESC
"""
UNNAMED = "SELECT count(*), max(id + 0) FROM task WHERE state = 'failed' AND failure_id IS NULL"
RUNS = f"""
    {RUN} WHERE (?1 OR info ->> '$.team' IS ?2)
    AND (?3 IS NULL OR id < ?3) AND (?4 IS NULL OR info ->> '$.kind' = ?4) ORDER BY id DESC LIMIT ?5
"""
COUNTED = f"SELECT {_COUNTERS} FROM cell c WHERE c.shelf = 0"
RUN_COUNTS = f"""
    SELECT run_id, {_COUNTERS} FROM cell WHERE run_id IN (SELECT value FROM json_each(?)) AND shelf = 0 GROUP BY 1
"""
DEPTHS = f"SELECT model, lane, urgency, {_COUNTERS} FROM cell c WHERE shelf = 0 AND {_OF_TEAM} GROUP BY 1, 2, 3"
OLDEST = f"""
    WITH first AS (
        SELECT c.lane, (
            SELECT id FROM task WHERE cell_id = c.id AND state = 'ready' ORDER BY due_at, id LIMIT 1
        ) AS id
        FROM cell c WHERE c.ready > 0 AND (c.shelf = 0 OR c.aside) AND {_OF_TEAM}
    )
    SELECT lane, min(p.submitted_at) FROM first JOIN payload p ON p.task_id = first.id GROUP BY 1
"""
ROUTES = f"""
    SELECT p.route_id, count(*)
    FROM (SELECT id, cell_id FROM task ORDER BY id DESC LIMIT ?3) t
    JOIN cell c ON c.id = t.cell_id AND NOT c.aside JOIN payload p ON p.task_id = t.id
    WHERE {_OF_TEAM} GROUP BY 1 ORDER BY 2 DESC
"""
FORGET = "DELETE FROM state WHERE name GLOB 'worker:*' AND substr(name, 8) NOT IN (SELECT id FROM worker)"


class Views(Base):
    """These verbs of the store."""

    async def failure_groups(self, *, run_id: int | None = None, team: OfTeam = ALL) -> list[FailureCount]:
        if self._read(failing.any_unnamed):
            await self._writer.write(failing.fill)
        return await self._read_long(lambda db: failure_groups(db, run_id, team))

    async def list_tasks(self, filter: TaskFilter, cursor: int | None, limit: int) -> TaskPage:
        return await self._read_long(lambda db: list_tasks(db, self._long_documents, filter, cursor, limit))

    async def count_tasks(self, filter: TaskFilter) -> Mapping[State, int]:
        return await self._read_long(lambda db: count_tasks(db, filter))

    async def list_runs(
        self, cursor: int | None, limit: int, *, team: OfTeam = ALL, kind: str | None = None
    ) -> list[Run]:
        bindings = (*_team(team), cursor, kind, limit)
        return await self._read_long(lambda db: [run_of(row) for row in db.execute(RUNS, bindings)])

    async def run_counts(self, run_ids: Sequence[int]) -> Mapping[int, Mapping[State, int]]:
        wanted = orjson.dumps(list(run_ids)).decode()
        return await self._read_long(
            lambda db: {run_id: _counts(counts) for run_id, *counts in db.execute(RUN_COUNTS, (wanted,))}
        )

    async def depths(self, *, team: OfTeam = ALL) -> list[Depth]:
        return await self._read_long(
            lambda db: [
                Depth(model, lane, Urgency(urgency), _counts(counts))
                for model, lane, urgency, *counts in db.execute(DEPTHS, _team(team))
            ]
        )

    async def oldest_ready(self, *, team: OfTeam = ALL) -> Mapping[str, float]:
        return await self._read_long(lambda db: dict(iter(db.execute(OLDEST, _team(team)))))

    async def newest_routes(self, most: int, *, team: OfTeam = ALL) -> list[RouteCount]:
        bindings = (*_team(team), most)
        return await self._read_long(
            lambda db: [
                RouteCount(self._long_documents.route(number), n) for number, n in list(db.execute(ROUTES, bindings))
            ]
        )

    async def describe_worker(self, worker: str, facts: Mapping[str, Any], now: float) -> None:
        await self._writer.write(lambda tx: describe_worker(tx, worker, facts, now))


def describe_worker(tx: Transaction, worker: str, facts: Mapping[str, Any], now: float) -> None:
    save_state(tx, f"worker:{worker}", facts, now)
    tx.db.execute(FORGET)


def failure_groups(db: apsw.Connection, run_id: int | None, team: OfTeam) -> list[FailureCount]:
    which = f"> {NO_KIND}"  # the index alone
    if run_id is not None or not isinstance(team, Everyone):
        which = f"IN (SELECT id FROM failure c WHERE (?3 IS NULL OR run_id = ?3) AND {_OF_TEAM})"
    rows = db.execute(FAILURES.format(which), (*_team(team), run_id, MOST_KINDS))
    found = [FailureCount(*row) for row in rows]
    ((unnamed, newest),) = db.execute(UNNAMED)
    if unnamed and run_id is None and isinstance(team, Everyone):
        found.append(FailureCount("", "", "", "", "", 0, unnamed, newest))
    return found


def count_tasks(db: apsw.Connection, s: TaskFilter) -> dict[State, int]:
    counts = Counter[State]()
    if by_counters(s):
        where, bindings = conditions(s._replace(states=(), run_id=None))
        if s.run_id is not None:
            where, bindings = where + " AND c.run_id = ?", [*bindings, s.run_id]
        (row,) = db.execute(COUNTED + where, bindings)
        counts.update(_counts(row))
    else:
        for where, bindings in sources(db, s):
            counts.update({State(state): n for state, n in db.execute(_counting(where), bindings)})
    return {state: n for state, n in counts.items() if n and (state in s.states or not s.states)}


def _counting(where: str) -> str:
    if where.startswith(BY_INDEX):  # which does not say what all of its tasks are
        return f"SELECT 'failed', count(*) {where}"
    return f"SELECT t.state, count(*) {where} GROUP BY 1"


def _counts(row: Sequence[float]) -> dict[State, int]:
    return {state: int(n) for state, n in zip(State, row, strict=True) if n}


def _team(team: OfTeam) -> tuple[bool, str | None]:
    return (True, None) if isinstance(team, Everyone) else (False, team)
