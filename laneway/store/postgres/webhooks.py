"""Who is to be told when a task has ended."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.postgres.base import Base
from laneway.store.postgres.connection import Db, rows, scalar, text
from laneway.store.postgres.reading import last_result
from laneway.store.postgres.transaction import Transaction
from laneway.store.webhooks import KEPT_S, NOT_ENDED, Webhook

COLUMNS = "w.id, w.task_id, w.url, w.team, w.created_at, w.attempts, w.next_at, w.delivered_at, w.error"
ENDED = "state IN ('succeeded', 'failed', 'cancelled')"
# A task that is about to end waits for this: else it would end unseen.
HOLD = "SELECT 1 FROM laneway.task WHERE id = ANY(%s::bigint[]) ORDER BY id FOR SHARE"
ADD = f"""
    INSERT INTO laneway.webhook (id, task_id, url, team, created_at, next_at)
    SELECT n.id, n.task_id, n.url, n.team, n.created_at,
           CASE WHEN EXISTS (SELECT 1 FROM laneway.task t WHERE t.id = n.task_id AND t.{ENDED})
                THEN %s::float8 ELSE {NOT_ENDED} END
    FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::float8[])
        AS n (id, task_id, url, team, created_at)
    ON CONFLICT (id) DO NOTHING
"""
# Untold of the task's latest end: never, or before it went again.
NEWS = f"""
    FROM laneway.webhook w JOIN laneway.task t ON t.id = w.task_id JOIN laneway.result r ON r.seq = t.result_seq
    WHERE t.{ENDED} AND (w.next_at = {NOT_ENDED} OR w.next_at IS NULL AND w.delivered_at < r.settled_at)
"""
ENDED_SINCE = f"SELECT w.id {NEWS} AND r.seq > %s"
ENDED_EVER = f"SELECT w.id {NEWS}"
ROUSE = f"""
    UPDATE laneway.webhook SET next_at = %s, attempts = 0, delivered_at = NULL, error = NULL
    WHERE id IN (SELECT w.id {NEWS} AND w.id = ANY(%s::text[]) ORDER BY w.id FOR UPDATE OF w)
"""
FORGET = """
    DELETE FROM laneway.webhook w WHERE w.next_at IS NULL AND w.delivered_at < %s
        OR NOT EXISTS (SELECT 1 FROM laneway.task t WHERE t.id = w.task_id)
"""
DUE = "SELECT 1 FROM laneway.webhook WHERE next_at <= %s LIMIT 1"
CLAIM = f"""
    UPDATE laneway.webhook w SET next_at = %s, attempts = w.attempts + 1
    FROM (SELECT id FROM laneway.webhook WHERE next_at <= %s ORDER BY next_at LIMIT %s FOR UPDATE SKIP LOCKED) AS due
    WHERE w.id = due.id RETURNING {COLUMNS}
"""
SETTLE = """
    UPDATE laneway.webhook SET attempts = %s, next_at = %s, delivered_at = %s, error = %s
    WHERE id = %s AND attempts = %s AND next_at = %s
"""
OF_TASK = f"SELECT {COLUMNS} FROM laneway.webhook w WHERE task_id = %s ORDER BY created_at, id"


class Webhooks(Base):
    """These verbs of the store."""

    async def add_webhooks(self, webhooks: Sequence[Webhook], now: float) -> None:
        await self._upkeep.write(lambda tx: add(tx, webhooks, now))

    async def rouse_webhooks(self, after: int | None, now: float) -> int:
        newest, untold = await self._read_long(lambda db: news(db, after))
        if untold:
            await self._upkeep.write(lambda tx: rouse(tx, untold, now))
        if after is None:
            await self._upkeep.write(lambda tx: forget(tx, now))
        return newest

    async def claim_webhooks(self, now: float, until: float, limit: int) -> list[Webhook]:
        if await self._read(lambda db: scalar(db, DUE, (now,))) is None:
            return []
        return await self._upkeep.write(lambda tx: claim(tx, now, until, limit))

    async def settle_webhook(self, claimed: Webhook, after: Webhook) -> bool:
        return await self._upkeep.write(lambda tx: settle(tx, claimed, after))

    async def webhooks(self, task_id: int) -> list[Webhook]:
        return await self._read(lambda db: [Webhook(*row) for row in rows(db, OF_TASK, (task_id,))])


def add(tx: Transaction, webhooks: Sequence[Webhook], now: float) -> None:
    tasks = [one.task_id for one in webhooks]
    tx.db.execute(HOLD, (tasks,))
    ids, urls = [one.id for one in webhooks], [text(one.url) for one in webhooks]
    teams, times = [text(one.team) for one in webhooks], [one.created_at for one in webhooks]
    tx.db.execute(ADD, (now, ids, tasks, urls, teams, times))


def news(db: Db, after: int | None) -> tuple[int, list[str]]:
    """The newest sequence number, read first: what ends meanwhile is seen twice rather than never."""
    newest = last_result(db)
    if after == newest:
        return newest, []
    found = rows(db, ENDED_EVER) if after is None else rows(db, ENDED_SINCE, (after,))
    return newest, [id_ for (id_,) in found]


def rouse(tx: Transaction, ids: Sequence[str], now: float) -> None:
    """Looks again: another server may have done it, and sent them, meanwhile."""
    tx.db.execute(ROUSE, (now, list(ids)))


def forget(tx: Transaction, now: float) -> None:
    tx.db.execute(FORGET, (now - KEPT_S,))


def claim(tx: Transaction, now: float, until: float, limit: int) -> list[Webhook]:
    found = [Webhook(*row) for row in tx.db.execute(CLAIM, (until, now, limit))]
    return sorted(found, key=lambda one: (one.created_at, one.id))


def settle(tx: Transaction, claimed: Webhook, after: Webhook) -> bool:
    told = (after.attempts, after.next_at, after.done_at, text(after.error))
    return tx.db.execute(SETTLE, (*told, claimed.id, claimed.attempts, claimed.next_at)).rowcount > 0
