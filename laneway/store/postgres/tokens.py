"""Who may ask the service, and what they changed through it."""

from __future__ import annotations

from typing import Any

from laneway.store.postgres.base import Base
from laneway.store.postgres.connection import Db, json, rows, text
from laneway.store.postgres.transaction import Transaction
from laneway.store.teams import ALL, Everyone, OfTeam
from laneway.store.tokens import Deed, Role, Token
from laneway.task import Urgency

ADD = """
    INSERT INTO laneway.token (name, hash, role, team, lanes, urgency, daily_budget, created_at)
    VALUES (%s, %s, %s, %s, %s::jsonb, %s, %s, %s) ON CONFLICT (name) DO NOTHING
"""
TOKENS = """
    SELECT name, hash, role, team, lanes, urgency, daily_budget, created_at, revoked_at FROM laneway.token
    WHERE revoked_at IS NULL OR %s ORDER BY name
"""
REVOKE = "UPDATE laneway.token SET revoked_at = %s WHERE name = %s AND revoked_at IS NULL"
RECORD = "INSERT INTO laneway.audit (at, who, team, action, what, detail) VALUES (%s, %s, %s, %s, %s, %s::jsonb)"
DEEDS = """
    SELECT at, who, team, action, what, detail, id FROM laneway.audit
    WHERE (%(before)s::bigint IS NULL OR id < %(before)s)
        AND (%(everyone)s OR team IS NOT DISTINCT FROM %(team)s::text) ORDER BY id DESC LIMIT %(limit)s
"""

FORGET = """
    DELETE FROM laneway.audit WHERE id IN (
        SELECT id FROM (SELECT id, at FROM laneway.audit ORDER BY id LIMIT %s) oldest WHERE at < %s
    )
"""


class Tokens(Base):
    """These verbs of the store."""

    async def add_token(self, token: Token) -> bool:
        return await self._upkeep.write(lambda tx: add(tx, token))

    async def tokens(self, *, revoked: bool = False) -> list[Token]:
        return await self._read(lambda db: [_token(row) for row in rows(db, TOKENS, (revoked,))])

    async def revoke_token(self, name: str, now: float) -> bool:
        return await self._upkeep.write(lambda tx: revoke(tx, name, now))

    async def record(self, deed: Deed) -> None:
        await self._upkeep.write(lambda tx: record(tx, deed))

    async def deeds(self, before: int | None, limit: int, *, team: OfTeam = ALL) -> list[Deed]:
        return await self._read_long(lambda db: deeds(db, before, limit, team))

    async def forget_deeds(self, before: float, limit: int) -> int:
        return await self._upkeep.write(lambda tx: forget(tx, before, limit))


def add(tx: Transaction, token: Token) -> bool:
    lanes = None if token.lanes is None else json(sorted(token.lanes))
    level = None if token.highest is None else int(token.highest)
    who = (text(token.name), token.digest, token.role, text(token.team))
    return tx.db.execute(ADD, (*who, lanes, level, token.daily_budget, token.created_at)).rowcount > 0


def revoke(tx: Transaction, name: str, now: float) -> bool:
    return tx.db.execute(REVOKE, (now, text(name))).rowcount > 0


def record(tx: Transaction, deed: Deed) -> None:
    said = (text(deed.who), text(deed.team), text(deed.action), text(deed.what), json(dict(deed.detail)))
    tx.db.execute(RECORD, (deed.at, *said))


def deeds(db: Db, before: int | None, limit: int, team: OfTeam) -> list[Deed]:
    everyone, named = (True, None) if isinstance(team, Everyone) else (False, text(team))
    asked = {"before": before, "limit": limit, "everyone": everyone, "team": named}
    return [Deed(*row) for row in rows(db, DEEDS, asked)]


def forget(tx: Transaction, before: float, limit: int) -> int:
    return tx.db.execute(FORGET, (limit, before)).rowcount


def _token(row: tuple[Any, ...]) -> Token:
    name, digest, role, team, lanes, urgency, *rest = row
    allowed = None if lanes is None else frozenset(lanes)
    return Token(name, bytes(digest), Role(role), team, allowed, None if urgency is None else Urgency(urgency), *rest)
