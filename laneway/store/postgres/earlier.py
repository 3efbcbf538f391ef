"""Which earlier task a new one is the same as (``dedupe_for``)."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.postgres.connection import TWINS, Db, rows, run, scalar
from laneway.task import NewTask, State

EARLIER = """
    SELECT t.key, t.hash, p.spec_id, p.submitted_at, t.id
    FROM laneway.task t JOIN laneway.payload p ON p.task_id = t.id
    WHERE t.key = ANY(%s) AND t.twin_id IS NULL AND length(p.body) > 0
          AND t.state IN ('ready', 'running', 'waiting', 'succeeded') ORDER BY t.id
"""


class Earlier:
    """The tasks that new ones with a ``dedupe_for`` may be the same as. Nobody else adds any before the commit."""

    def __init__(self, db: Db, tasks: Sequence[NewTask], now: float) -> None:
        self._now = now
        self._found: dict[tuple[str, bytes, int], tuple[float, int]] = {}
        keys = {task.key for task in tasks if task.dedupe_for is not None and task.key is not None}
        if keys:
            run(db, "SELECT pg_advisory_xact_lock(%s)", (TWINS,))
            for key, hash_, spec, submitted_at, id_ in rows(db, EARLIER, (list(keys),)):
                self._found[key, hash_, spec] = (submitted_at, id_)

    def of(self, task: NewTask, digest: bytes, spec: int) -> int | None:
        """The latest task with this key, request and settings that was submitted within the task's ``dedupe_for``."""
        if task.dedupe_for is None or task.key is None:
            return None
        submitted_at, id_ = self._found.get((task.key, digest, spec), (0.0, 0))
        return id_ if id_ and submitted_at >= self._now - task.dedupe_for else None


def over(db: Db, task_id: int, state: State, within: float | None, now: float) -> bool:
    """Whether an earlier task of the same run and key stands in a new one's way no more: too old, or ended badly."""
    if within is None:
        return False  # a key is for ever
    if state in (State.FAILED, State.CANCELLED):
        return True
    submitted = "SELECT submitted_at FROM laneway.payload WHERE task_id = %s"
    return float(scalar(db, submitted, (task_id,))) < now - within
