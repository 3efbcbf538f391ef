"""What people say about tasks afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from laneway.store.feedback import About, Feedback, last_words
from laneway.store.postgres.connection import Db, rows, text
from laneway.store.postgres.transaction import Transaction
from laneway.store.rows import ATTEMPT, attempt_of
from laneway.task import Attempt

# A task that is still held may be given up with its submission.
SAY = """
    INSERT INTO laneway.feedback (task_id, about, value, note, model, at)
    SELECT t.id, w.about, w.value, w.note, c.model, %s
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) AS w (task_id, about, value, note)
    JOIN laneway.task t ON t.id = w.task_id JOIN laneway.cell c ON c.id = t.cell_id
    WHERE t.state <> 'triaging' ORDER BY w.task_id, w.about
    ON CONFLICT (task_id, about) DO UPDATE SET
        value = excluded.value, note = excluded.note, model = excluded.model, at = excluded.at
    RETURNING task_id
"""
_WORDS = "SELECT task_id, about, value, note, model, at FROM laneway.feedback"
OF_TASKS = f"{_WORDS} WHERE task_id = ANY(%s) ORDER BY task_id, about"
AFTER = f"{_WORDS} WHERE (task_id, about) > (%s, %s) AND at >= %s ORDER BY task_id, about LIMIT %s"
ATTEMPTS = f"SELECT {ATTEMPT} FROM laneway.attempt WHERE task_id = ANY(%s) ORDER BY task_id, fence, call"


def judge(tx: Transaction, words: Sequence[Feedback], now: float) -> int:
    said = last_words(words)
    columns = [
        [word.task_id for word in said],
        [word.about.value for word in said],
        [text(word.value) for word in said],
        [text(word.note) for word in said],
    ]
    return len({id_ for (id_,) in rows(tx.db, SAY, (now, *columns))})


def feedback(db: Db, task_ids: Sequence[int]) -> list[Feedback]:
    return _words(rows(db, OF_TASKS, (list(task_ids),)))


def after(db: Db, place: tuple[int, str], limit: int, since: float) -> list[Feedback]:
    return _words(rows(db, AFTER, (*place, since, limit)))


def attempts_of(db: Db, task_ids: Sequence[int]) -> list[Attempt]:
    return [attempt_of(row) for row in rows(db, ATTEMPTS, (list(task_ids),))]


def _words(found: Iterable[tuple[Any, ...]]) -> list[Feedback]:
    return [Feedback(id_, About(about), *rest) for id_, about, *rest in found]
