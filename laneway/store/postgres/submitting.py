"""Taking tasks in: what is new, what is known, and what an earlier task does already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from laneway.errors import UsageError
from laneway.store.asking import wait_of
from laneway.store.postgres.connection import Db, rows, run, scalar, text
from laneway.store.postgres.documents import Documents
from laneway.store.postgres.earlier import Earlier, over
from laneway.store.postgres.places import Places
from laneway.store.postgres.transaction import Transaction
from laneway.store.runs import Run, Submitted
from laneway.store.steering import keeping_hands
from laneway.task import BY_HAND, NewTask, Route, State

LONGEST_KEY = 1000  # characters
MOST_KEY_BYTES = 2600  # it is part of an index, whose entries have up to 2,704 bytes with all else
BY_COPY = 8  # rows from which COPY is quicker than an INSERT each
# Key by key (OFFSET 0): of a table that was small when it was looked at last, the planner would rather read all that
# the run has, and hold each row against each key.
_KNOWN = """
    SELECT t.key, t.id, t.generation, t.hash, t.state, t.cell_id FROM unnest(%s::text[]) AS k (key)
    CROSS JOIN LATERAL (
        SELECT * FROM laneway.task WHERE run_id = %s AND key = k.key AND generation > 0 OFFSET 0 {lock}
    ) t
"""
KNOWN = _KNOWN.format(lock="")
KNOWN_AND_KEPT = _KNOWN.format(lock="FOR NO KEY UPDATE")  # as they are, until the commit
TASK = (
    ("id", "int8"),
    ("run_id", "int8"),
    ("key", "text"),
    ("generation", "int8"),
    ("hash", "bytea"),
    ("cell_id", "int8"),
    ("state", "text"),
    ("due_at", "float8"),
    ("wake_at", "float8"),
    ("wait_reason", "text"),
    ("input_tokens", "int8"),
    ("output_tokens", "int8"),
    ("twin_id", "int8"),
    ("answers_to", "text"),
)
PAYLOAD = (
    ("task_id", "int8"),
    ("submitted_at", "float8"),
    ("deadline", "float8"),
    ("spec_id", "int8"),
    ("route_id", "int8"),
    ("tags", "jsonb"),
    ("team", "text"),
    ("body", "bytea"),
    ("record", "bytea"),
    ("parent_id", "int8"),
)
RETIRE = "UPDATE laneway.task SET generation = -id WHERE id = %s"  # its key is free again
FREE_KEY = "UPDATE laneway.task SET generation = -id WHERE id = %s"
WAIT_ON = "UPDATE laneway.task SET wake_at = %s WHERE id = %s AND state = 'waiting' AND wait_reason = 'triage'"
ASKED = """
    SELECT 1 FROM laneway.question q JOIN laneway.task t ON t.id = q.asked_in
    WHERE q.task_id = %s AND t.state NOT IN ('succeeded', 'failed', 'cancelled') LIMIT 1
"""
KEEP = "UPDATE laneway.task SET generation = %s WHERE id = ANY(%s)"
ROUTES = "SELECT task_id, route_id FROM laneway.payload WHERE task_id = ANY(%s)"
MOVE = """
    UPDATE laneway.task t SET cell_id = m.cell_id, due_at = coalesce(m.due_at, t.due_at)
    FROM unnest(%s::bigint[], %s::bigint[], %s::float8[]) AS m (id, cell_id, due_at) WHERE t.id = m.id
"""
RENEW = """
    UPDATE laneway.payload p SET route_id = m.route_id, spec_id = m.spec_id, record = m.record,
        body = CASE WHEN length(p.body) > 0 THEN p.body ELSE m.body END
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[])
         AS m (id, route_id, spec_id, record, body)
    WHERE p.task_id = m.id
"""


class Known:
    """A task that the run has already."""

    __slots__ = ("cell", "generation", "hash", "id", "state")

    def __init__(self, id_: int, generation: int, hash_: bytes, state: State, cell: int) -> None:
        self.id, self.generation, self.hash, self.state, self.cell = id_, generation, hash_, state, cell


def submit(
    tx: Transaction, run_: Run, tasks: Sequence[NewTask], now: float, held: bool, *, aside: bool = False
) -> Submitted:
    """``aside``: triage's own questions and what flows begin, which no count or result of the run holds."""
    done = Submitted()
    places = Places(tx.db, run_.id, aside=aside)
    known = _known(tx.db, run_, tasks)
    earlier = Earlier(tx.db, tasks, now)
    places.know([*(task.spec for task in tasks), *(task.route for task in tasks)])
    ids = _ids(tx.db, len(tasks))
    kept: list[tuple[Known, NewTask]] = []
    rows_: list[tuple[Any, ...]] = []
    payloads: list[tuple[Any, ...]] = []
    for position, task in enumerate(tasks):
        digest = task.hash
        here: Known | None = None
        if task.key is not None and (found := known.get(task.key)):
            here = next((k for k in found if k.generation == run_.generation), None)
            if here and not held and over(tx.db, here.id, here.state, task.dedupe_for, now):
                run(tx.db, FREE_KEY, (here.id,))
                found.remove(here)
                here = None
            if here:
                if here.hash != digest:
                    done.conflicts.append(position)
                else:
                    done.duplicates += 1
                done.ids.append(here.id)
                continue
            here = next((k for k in reversed(found) if k.hash == digest), None)
        if here:
            here.generation = run_.generation
            kept.append((here, task))
            if _asks_again(tx.db, here, task, now):
                done.waiting.append(position)
            done.ids.append(here.id)
            again = here.state in (State.FAILED, State.CANCELLED)
            done.again += again
            done.kept += not again
            continue
        spec = places.document(task.spec)
        twin = earlier.of(task, digest, spec) if task.wake_at is None or not held else None
        done.shared += twin is not None
        if twin is not None and not held:
            done.ids.append(twin)
            continue
        id_ = next(ids)
        reason, wake_at = wait_of(task, now, held=held)
        state = State.TRIAGING if held else State.WAITING if wake_at is not None else State.READY
        cell = places.cell(task.route)
        place = (id_, run_.id, task.key, run_.generation, digest, cell, state.value)
        expected = (task.input_tokens, task.output_tokens)
        rows_.append((*place, task.due_at, wake_at, reason, *expected, twin, task.answers_to))
        documents = (spec, places.document(task.route))
        tags = [text(tag) for tag in task.tags] or None
        payloads.append(
            (id_, now, task.deadline, *documents, tags, text(task.team), task.body, task.record, task.parent)
        )
        tx.count(cell, state, 1)
        done.new += 1
        done.ids.append(id_)
        if task.verdict_within is not None and twin is None:
            done.waiting.append(position)
        if task.key is not None:
            known.setdefault(task.key, []).append(Known(id_, run_.generation, digest, state, cell))
    _write(tx.db, "laneway.task", TASK, rows_)
    _write(tx.db, "laneway.payload", PAYLOAD, payloads)
    _keep(tx, run_, kept, places)
    return done


def named(db: Db, run_: Run, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    found = sorted(
        rows(db, KNOWN, (sorted(key for key in set(keys) if "\x00" not in key), run_.id)), key=lambda row: row[2]
    )
    return {key: (id_, hash_) for key, id_, _, hash_, _, _ in found}


def wrong_with(key: str) -> str | None:
    """What a key has that this store cannot keep."""
    if "\x00" in key:
        return "a NUL character"
    if len(key) > LONGEST_KEY:
        return f"{len(key):,} characters"
    if len(key) * 4 > MOST_KEY_BYTES and (size := len(key.encode())) > MOST_KEY_BYTES:
        return f"{size:,} bytes in UTF-8"
    return None


def _known(db: Db, run_: Run, tasks: Sequence[NewTask]) -> dict[str, list[Known]]:
    keys = [task.key for task in tasks if task.key is not None]
    for key in keys:
        if wrong := wrong_with(key):
            raise UsageError(
                f"the key {key[:40]!r}… has {wrong}, which the PostgreSQL store cannot keep",
                hint=f"use keys of at most {LONGEST_KEY:,} characters and {MOST_KEY_BYTES:,} bytes, without NUL",
            )
    found: dict[str, list[Known]] = {}
    if keys:
        for key, id_, *rest, state, cell in rows(db, KNOWN_AND_KEPT, (sorted(set(keys)), run_.id)):
            found.setdefault(key, []).append(Known(id_, rest[0], rest[1], State(state), cell))
        for of_key in found.values():
            of_key.sort(key=lambda one: one.generation)
    return found


def _ids(db: Db, most: int) -> Iterator[int]:
    """Ids for up to so many new tasks, in order; asked for when the first is needed."""
    sql = "SELECT nextval('laneway.task_id') FROM generate_series(1, %s)"
    yield from sorted(id_ for (id_,) in rows(db, sql, (most,)))


def _write(db: Db, table: str, columns: Sequence[tuple[str, str]], new: Sequence[tuple[Any, ...]]) -> None:
    names = ", ".join(name for name, _ in columns)
    if 0 < len(new) < BY_COPY:
        values = ", ".join(f"%s::{kind}" for _, kind in columns)
        for row in new:
            run(db, f"INSERT INTO {table} ({names}) VALUES ({values})", [_bound(value) for value in row])
    elif new:
        statement = f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)"
        with db.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types([kind for _, kind in columns])
            for row in new:
                copy.write_row(row)


def _bound(value: Any) -> Any:
    return Jsonb(value) if isinstance(value, list) else value


def _keep(tx: Transaction, run_: Run, kept: Sequence[tuple[Known, NewTask]], places: Places) -> None:
    """The same work as in an earlier submission: it stays; what has not ended takes the new route."""
    if not kept:
        return
    run(tx.db, KEEP, (run_.generation, [here.id for here, _ in kept]))
    open_ = [(here, task) for here, task in kept if here.state not in (State.SUCCEEDED, State.RUNNING)]
    if not open_:
        return
    routes = Routes(tx.db, [here.id for here, _ in open_])
    placed = [(here, task, routes.keeping_hands(here.id, task.route)) for here, task in open_]
    places.know([route for _, _, route in placed])
    moves: list[tuple[int, int, float | None]] = []
    for here, task, route in placed:
        cell = places.again(route, here.cell)
        if cell != here.cell:
            moves.append((here.id, cell, None if route.reasons.get("urgency") == BY_HAND else task.due_at))
            tx.count(here.cell, here.state, -1)
            tx.count(cell, here.state, 1)
    if moves:
        run(tx.db, MOVE, [list(column) for column in zip(*moves, strict=True)])
    renewed = [
        (here.id, places.document(route), places.document(task.spec), task.record, task.body)
        for here, task, route in placed
    ]
    run(tx.db, RENEW, [list(column) for column in zip(*renewed, strict=True)])


def _asks_again(db: Db, here: Known, task: NewTask, now: float) -> bool:
    """Whether a task that is kept still waits for the classifier, and no question about it is on its way any more. Its
    wait begins anew."""
    if task.verdict_within is None or here.state is not State.WAITING:
        return False
    waits = run(db, WAIT_ON, (now + task.verdict_within, here.id)).rowcount > 0
    return waits and scalar(db, ASKED, (here.id,)) is None


class Routes:
    """The stored routes of tasks, of which something may have been set by hand."""

    def __init__(self, db: Db, ids: Sequence[int]) -> None:
        self._numbers: dict[int, int] = dict(rows(db, ROUTES, (list(ids),)))
        self._documents = Documents().read(db, self._numbers.values())
        self._made: dict[tuple[int, int], tuple[Route, Route]] = {}

    def keeping_hands(self, task_id: int, new: Route) -> Route:
        number = self._numbers[task_id]
        if (number, id(new)) not in self._made:
            stored = self._documents.route(number)
            by_hand = BY_HAND in stored.reasons.values()
            self._made[number, id(new)] = (new, keeping_hands(stored, new) if by_hand else new)
        return self._made[number, id(new)][1]
