"""Who is to be told when a task has ended."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import orjson

from laneway.store.sqlite.base import Base
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.transaction import Transaction
from laneway.store.webhooks import KEPT_S, NOT_ENDED, Webhook

COLUMNS = "id, task_id, url, team, created_at, attempts, next_at, delivered_at, error"
ENDED = "state IN ('succeeded', 'failed', 'cancelled')"
ADD = f"""
    INSERT INTO webhook (id, task_id, url, team, created_at, next_at)
    SELECT ?1, ?2, ?3, ?4, ?5, CASE WHEN EXISTS (SELECT 1 FROM task WHERE id = ?2 AND {ENDED}) THEN ?6 ELSE ?7 END
    WHERE true ON CONFLICT (id) DO NOTHING
"""
# Untold of the task's latest end: never, or before it went again.
NEWS = f"""
    FROM webhook w JOIN task t ON t.id = w.task_id JOIN result r ON r.seq = t.result_seq
    WHERE t.{ENDED} AND (w.next_at = {NOT_ENDED} OR w.next_at IS NULL AND w.delivered_at < r.settled_at)
"""
ENDED_SINCE = f"""
    SELECT w.id FROM result s CROSS JOIN webhook w ON w.task_id = s.task_id
    WHERE s.seq > ? AND w.id IN (SELECT w.id {NEWS} AND t.id = s.task_id)
"""
ENDED_EVER = f"SELECT w.id {NEWS}"
ROUSE = """
    UPDATE webhook SET next_at = ?, attempts = 0, delivered_at = NULL, error = NULL
    WHERE id IN (SELECT value FROM json_each(?))
"""
FORGET = """
    DELETE FROM webhook WHERE next_at IS NULL AND delivered_at < ?
        OR NOT EXISTS (SELECT 1 FROM task WHERE task.id = webhook.task_id)
"""
DUE = "SELECT 1 FROM webhook WHERE next_at <= ? LIMIT 1"
CLAIM = f"""
    UPDATE webhook SET next_at = ?2, attempts = attempts + 1
    WHERE id IN (SELECT id FROM webhook WHERE next_at <= ?1 ORDER BY next_at LIMIT ?3) RETURNING {COLUMNS}
"""
SETTLE = """
    UPDATE webhook SET attempts = ?, next_at = ?, delivered_at = ?, error = ?
    WHERE id = ? AND attempts = ? AND next_at = ?
"""
OF_TASK = f"SELECT {COLUMNS} FROM webhook WHERE task_id = ? ORDER BY created_at, id"


class Webhooks(Base):
    """These verbs of the store."""

    async def add_webhooks(self, webhooks: Sequence[Webhook], now: float) -> None:
        await self._writer.write(lambda tx: add(tx, webhooks, now))

    async def rouse_webhooks(self, after: int | None, now: float) -> int:
        newest, untold = await self._read_long(lambda db: news(db, after))
        if untold:
            await self._writer.write(lambda tx: rouse(tx, untold, now))
        if after is None:
            await self._writer.write(lambda tx: forget(tx, now))
        return newest

    async def claim_webhooks(self, now: float, until: float, limit: int) -> list[Webhook]:
        if self._read(lambda db: scalar(db, DUE, (now,))) is None:
            return []
        return await self._writer.write(lambda tx: claim(tx, now, until, limit))

    async def settle_webhook(self, claimed: Webhook, after: Webhook) -> bool:
        return await self._writer.write(lambda tx: settle(tx, claimed, after))

    async def webhooks(self, task_id: int) -> list[Webhook]:
        return self._read(lambda db: [Webhook(*row) for row in db.execute(OF_TASK, (task_id,))])


def add(tx: Transaction, webhooks: Sequence[Webhook], now: float) -> None:
    rows = [(one.id, one.task_id, one.url, one.team, one.created_at, now, NOT_ENDED) for one in webhooks]
    tx.db.executemany(ADD, rows)


def news(db: apsw.Connection, after: int | None) -> tuple[int, list[str]]:
    """The newest sequence number, read first: what ends meanwhile is seen twice rather than never."""
    newest = int(scalar(db, "SELECT value FROM sequence WHERE name = 'result'"))
    if after == newest:
        return newest, []
    found = db.execute(ENDED_EVER) if after is None else db.execute(ENDED_SINCE, (after,))
    return newest, [id_ for (id_,) in found]


def rouse(tx: Transaction, ids: Sequence[str], now: float) -> None:
    """Looks again: another server may have done it, and sent them, meanwhile."""
    told = orjson.dumps(list(ids)).decode()
    again = [id_ for (id_,) in tx.db.execute(f"{ENDED_EVER} AND w.id IN (SELECT value FROM json_each(?))", (told,))]
    tx.db.execute(ROUSE, (now, orjson.dumps(again).decode()))


def forget(tx: Transaction, now: float) -> None:
    tx.db.execute(FORGET, (now - KEPT_S,))


def claim(tx: Transaction, now: float, until: float, limit: int) -> list[Webhook]:
    return [Webhook(*row) for row in tx.db.execute(CLAIM, (now, until, limit))]


def settle(tx: Transaction, claimed: Webhook, after: Webhook) -> bool:
    told = (after.attempts, after.next_at, after.done_at, after.error)
    tx.db.execute(SETTLE, (*told, claimed.id, claimed.attempts, claimed.next_at))
    return tx.db.changes() > 0
