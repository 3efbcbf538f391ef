"""Kinds of failures: each failed task names its own, by run, class, code, type, model and lane."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from laneway.store.postgres.connection import Db, array, by_index, first, rows, run, text
from laneway.store.postgres.transaction import Transaction
from laneway.store.steering import Selector
from laneway.store.teams import Everyone
from laneway.store.views import FILLED, LONGEST_CODE, NO_KIND
from laneway.task import Failure

_FAILED = """
    FROM unnest(%(ids)s::bigint[], %(classes)s::text[], %(codes)s::text[]) AS s (id, class, code)
    JOIN laneway.task t ON t.id = s.id JOIN laneway.cell c ON c.id = t.cell_id
    JOIN laneway.payload p ON p.task_id = t.id JOIN laneway.document d ON d.id = p.spec_id
"""
_KIND = """
    SELECT id FROM laneway.failure f WHERE f.run_id = t.run_id AND f.class = s.class AND f.code = s.code
    AND f.task_type = d.type AND f.model = c.model AND f.lane = c.lane
"""
# Whoever is first makes it; in order, since others wait for the commit.
ADD = f"""
    INSERT INTO laneway.failure (run_id, class, code, task_type, model, lane)
    SELECT DISTINCT t.run_id, s.class, s.code, d.type, c.model, c.lane {_FAILED}
    WHERE NOT c.shelf AND NOT EXISTS ({_KIND}) ORDER BY 1, 2, 3, 4, 5, 6 ON CONFLICT DO NOTHING
"""
SAY = f"""
    UPDATE laneway.task t SET failure_id = n.failure_id
    FROM (SELECT t.id, CASE WHEN c.shelf THEN {NO_KIND} ELSE ({_KIND}) END AS failure_id {_FAILED}) n
    WHERE t.id = n.id
"""
UNNAMED = "SELECT 1 FROM laneway.task WHERE state = 'failed' AND failure_id IS NULL LIMIT 1"
UNNAMED_COUNT = "SELECT count(*), max(id + 0) FROM laneway.task WHERE state = 'failed' AND failure_id IS NULL"
UNNAMED_TASKS = """
    SELECT t.id, coalesce(r.error ->> 'class', ''), coalesce(r.error ->> 'code', '')
    FROM laneway.task t LEFT JOIN laneway.result r ON r.seq = t.result_seq
    WHERE t.state = 'failed' AND t.failure_id IS NULL ORDER BY t.id LIMIT %s FOR UPDATE OF t
"""


def name(tx: Transaction, failed: Iterable[tuple[int, Failure | None]]) -> None:
    """Tasks that have failed, and of what."""
    said = [(id_, failure.cls.value, failure.code) if failure else (id_, "", "") for id_, failure in failed]
    if said:
        _name(tx, said)


def fill(tx: Transaction) -> None:
    """Name the kinds of some that a process of the version before has failed, or that came back to their run."""
    if said := rows(tx.db, UNNAMED_TASKS, (FILLED,)):
        _name(tx, said)


def any_unnamed(db: Db) -> bool:
    with by_index(db):  # there are hardly any: the planner would look for the first one through the whole table
        return first(db, UNNAMED) is not None


def unnamed(db: Db) -> tuple[int, int]:
    """How many, and the newest of them."""
    if not any_unnamed(db):
        return 0, 0
    (found,) = rows(db, UNNAMED_COUNT)
    return int(found[0]), int(found[1] or 0)


def _name(tx: Transaction, said: Sequence[tuple[Any, ...]]) -> None:
    ids, classes, codes = zip(*said, strict=True)
    cut = [text(code[:LONGEST_CODE]) for code in codes]
    bindings = {"ids": array(ids), "classes": list(classes), "codes": cut}
    run(tx.db, ADD, bindings)
    run(tx.db, SAY, bindings)


def kinds(db: Db, s: Selector) -> list[int]:
    """The ids of the kinds that such failed tasks are of."""
    where, bindings = ["true"], list[Any]()

    def one_of(column: str, values: Sequence[str]) -> None:
        if values:
            where.append(f"{column} = ANY(%s::text[])")
            bindings.append(list(values))

    one_of("class", s.classes)
    one_of("code", [code[:LONGEST_CODE] for code in s.codes])
    one_of("task_type", s.types)
    one_of("model", s.models)
    one_of("lane", s.lanes)
    if s.run_id is not None:
        where.append("run_id = %s")
        bindings.append(s.run_id)
    if not isinstance(s.team, Everyone):
        where.append("run_id IN (SELECT id FROM laneway.run WHERE info ->> 'team' IS NOT DISTINCT FROM %s::text)")
        bindings.append(s.team)
    return [id_ for (id_,) in rows(db, f"SELECT id FROM laneway.failure WHERE {' AND '.join(where)}", bindings)]
