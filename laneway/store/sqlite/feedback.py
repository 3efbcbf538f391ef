"""What people say about tasks afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apsw
import orjson

from laneway.store.feedback import About, Feedback, last_words
from laneway.store.rows import ATTEMPT, attempt_of
from laneway.store.sqlite.transaction import Transaction
from laneway.task import Attempt

# A task that is still held may be given up with its submission, and its number be another's then.
SAY = """
    INSERT INTO feedback (task_id, about, value, note, model, at)
    SELECT t.id, ?2, ?3, ?4, c.model, ?5 FROM task t JOIN cell c ON c.id = t.cell_id
    WHERE t.id = ?1 AND t.state <> 'triaging'
    ON CONFLICT DO UPDATE SET value = excluded.value, note = excluded.note, model = excluded.model, at = excluded.at
    RETURNING task_id
"""
_WORDS = "SELECT task_id, about, value, note, model, at FROM feedback"
OF_TASKS = f"{_WORDS} WHERE task_id IN (SELECT value FROM json_each(?)) ORDER BY task_id, about"
AFTER = f"{_WORDS} WHERE (task_id, about) > (?, ?) AND at >= ? ORDER BY task_id, about LIMIT ?"
ATTEMPTS = f"""
    SELECT {ATTEMPT} FROM attempt WHERE task_id IN (SELECT value FROM json_each(?)) ORDER BY task_id, fence, call
"""


def judge(tx: Transaction, words: Sequence[Feedback], now: float) -> int:
    heard: set[int] = set()
    for word in last_words(words):
        row = (word.task_id, word.about.value, word.value, word.note, now)
        heard.update(id_ for (id_,) in tx.db.execute(SAY, row))
    return len(heard)


def feedback(db: apsw.Connection, task_ids: Sequence[int]) -> list[Feedback]:
    return _words(db.execute(OF_TASKS, (orjson.dumps(list(task_ids)).decode(),)))


def after(db: apsw.Connection, place: tuple[int, str], limit: int, since: float) -> list[Feedback]:
    return _words(db.execute(AFTER, (*place, since, limit)))


def attempts_of(db: apsw.Connection, task_ids: Sequence[int]) -> list[Attempt]:
    return [attempt_of(row) for row in db.execute(ATTEMPTS, (orjson.dumps(list(task_ids)).decode(),))]


def _words(rows: Iterable[tuple[Any, ...]]) -> list[Feedback]:
    return [Feedback(id_, About(about), *rest) for id_, about, *rest in rows]
