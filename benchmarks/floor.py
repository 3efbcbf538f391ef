"""The least that a durable queue on our tables can cost: one thread, plain SQL, a thousand tasks to a transaction.

The tables and indexes are the store's own, made by its migrations, with its settings (WAL, ``synchronous=FULL``). Each
thousand is submitted, claimed and settled, three commits in all, and each row holds what ours does. No leases, no
priorities, no limits, nothing that runs: nobody could use it, it only shows what SQLite itself takes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import orjson

from laneway.store.sqlite.connection import connect_first

BATCH = 1000
TASK = "INSERT INTO task (id, run_id, generation, hash, cell_id, state, due_at) VALUES (?, 1, 1, ?, 1, 'ready', ?)"
PAYLOAD = "INSERT INTO payload (task_id, submitted_at, spec_id, route_id, body) VALUES (?, ?, 1, 2, ?)"
TAKE = """
    UPDATE task SET state = 'running', worker_id = 'floor', fence = fence + 1, begun_at = ?
    WHERE id IN (SELECT id FROM task WHERE cell_id = 1 AND state = 'ready' ORDER BY due_at, id LIMIT ?)
    RETURNING id, fence
"""
BODIES = "SELECT task_id, body FROM payload WHERE task_id IN (SELECT value FROM json_each(?))"
ATTEMPT = """
    INSERT INTO attempt (task_id, fence, call, run_id, worker_id, model, account, started_at, reserved_input,
                         reserved_output, cell_id) VALUES (?, ?, 0, 1, 'floor', '', '', ?, 0, 0, 1)
"""
END_TASK = """
    UPDATE task SET state = 'succeeded', worker_id = NULL, attempts = attempts + 1, result_seq = ?
    WHERE id = ? AND fence = ? AND state = 'running'
"""
END_ATTEMPT = "UPDATE attempt SET outcome = 'succeeded', latency = ? WHERE task_id = ? AND fence = ? AND call = 0"
RESULT = "INSERT INTO result (seq, task_id, settled_at, output) VALUES (?, ?, ?, ?)"


def main(path: Path, tasks: int) -> dict[str, float]:
    db = connect_first(path)
    db.execute(
        "INSERT INTO run (id, identity, generation, sealed, created_at, first_seq, cursor, offset, info)"
        " VALUES (1, 'floor', 1, 1, ?, 0, 0, 0, '{}')",
        (time.time(),),
    )
    db.execute("INSERT INTO cell (id, run_id, model, lane, urgency) VALUES (1, 1, '', 'general', 2)")
    began, cpu = time.perf_counter(), time.process_time()
    for ids in _batches(tasks):
        _submit(db, ids)
        bodies = _claim(db, len(ids))
        _settle(db, [(id_, orjson.dumps(orjson.loads(body)["args"][0])) for id_, body in bodies])
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    stored = next(iter(db.execute("SELECT count(*) FROM result")))[0]
    return {"tasks": stored, "seconds": seconds, "cpu_s": used}


def _batches(tasks: int) -> Iterator[range]:
    for first in range(1, tasks + 1, BATCH):
        yield range(first, min(first + BATCH, tasks + 1))


def _submit(db: apsw.Connection, ids: range) -> None:
    now = time.time()
    with db:
        bodies = [orjson.dumps({"args": [id_], "kwargs": {}}) for id_ in ids]
        digests = [hashlib.blake2b(body, digest_size=16).digest() for body in bodies]
        db.executemany(TASK, ((id_, digest, now) for id_, digest in zip(ids, digests, strict=True)))
        db.executemany(PAYLOAD, ((id_, now, body) for id_, body in zip(ids, bodies, strict=True)))
        db.execute("UPDATE cell SET ready = ready + ? WHERE id = 1", (len(ids),))


def _claim(db: apsw.Connection, n: int) -> list[tuple[int, bytes]]:
    now = time.time()
    with db:
        taken = list(db.execute(TAKE, (now, n)))
        bodies = list(db.execute(BODIES, (orjson.dumps([id_ for id_, _ in taken]).decode(),)))
        db.executemany(ATTEMPT, ((id_, fence, now) for id_, fence in taken))
        db.execute("UPDATE cell SET ready = ready - ?1, running = running + ?1 WHERE id = 1", (len(taken),))
    return bodies


def _settle(db: apsw.Connection, done: list[tuple[int, bytes]]) -> None:
    now = time.time()
    with db:
        first = next(iter(db.execute("SELECT value FROM sequence WHERE name = 'result'")))[0] + 1
        db.executemany(END_TASK, ((seq, id_, 1) for seq, (id_, _) in enumerate(done, first)))
        db.executemany(END_ATTEMPT, ((0.0, id_, 1) for id_, _ in done))
        db.executemany(RESULT, ((seq, id_, now, output) for seq, (id_, output) in enumerate(done, first)))
        db.execute("UPDATE sequence SET value = value + ? WHERE name = 'result'", (len(done),))
        db.execute("UPDATE cell SET running = running - ?1, succeeded = succeeded + ?1 WHERE id = 1", (len(done),))


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
