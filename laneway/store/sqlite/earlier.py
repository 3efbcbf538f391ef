"""Which earlier task a new one is the same as (``dedupe_for``)."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import orjson

from laneway.store.sqlite.connection import scalar
from laneway.task import NewTask, State

EARLIER = """
    SELECT t.key, t.hash, p.spec_id, p.submitted_at, t.id FROM task t JOIN payload p ON p.task_id = t.id
    WHERE t.key IN (SELECT value FROM json_each(?)) AND t.twin_id IS NULL AND length(p.body) > 0
          AND t.state IN ('ready', 'running', 'waiting', 'succeeded') ORDER BY t.id
"""


class Earlier:
    """The tasks that new ones with a ``dedupe_for`` may be the same as."""

    def __init__(self, db: apsw.Connection, tasks: Sequence[NewTask], now: float) -> None:
        self._now = now
        self._found: dict[tuple[str, bytes, int], tuple[float, int]] = {}
        keys = {task.key for task in tasks if task.dedupe_for is not None and task.key is not None}
        if keys:
            for key, hash_, spec, submitted_at, id_ in db.execute(EARLIER, (orjson.dumps(list(keys)).decode(),)):
                self._found[key, hash_, spec] = (submitted_at, id_)

    def of(self, task: NewTask, digest: bytes, spec: int) -> int | None:
        """The latest task with this key, request and settings that was submitted within the task's ``dedupe_for``."""
        if task.dedupe_for is None or task.key is None:
            return None
        submitted_at, id_ = self._found.get((task.key, digest, spec), (0.0, 0))
        return id_ if id_ and submitted_at >= self._now - task.dedupe_for else None


def over(db: apsw.Connection, task_id: int, state: State, within: float | None, now: float) -> bool:
    """Whether an earlier task of the same run and key stands in a new one's way no more: too old, or ended badly."""
    if within is None:
        return False  # a key is for ever
    if state in (State.FAILED, State.CANCELLED):
        return True
    return float(scalar(db, "SELECT submitted_at FROM payload WHERE task_id = ?", (task_id,))) < now - within
