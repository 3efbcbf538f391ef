"""Who may ask the service, and what they changed through it."""

from __future__ import annotations

from typing import Any

import apsw
import orjson

from laneway.store.sqlite.base import Base
from laneway.store.sqlite.transaction import Transaction
from laneway.store.teams import ALL, Everyone, OfTeam
from laneway.store.tokens import Deed, Role, Token
from laneway.task import Urgency

ADD = """
    INSERT INTO token (name, hash, role, team, lanes, urgency, daily_budget, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING
"""
TOKENS = """
    SELECT name, hash, role, team, lanes, urgency, daily_budget, created_at, revoked_at FROM token
    WHERE revoked_at IS NULL OR ? ORDER BY name
"""
REVOKE = "UPDATE token SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL"
RECORD = "INSERT INTO audit (at, who, team, action, what, detail) VALUES (?, ?, ?, ?, ?, ?)"
DEEDS = """
    SELECT at, who, team, action, what, detail, id FROM audit
    WHERE (?1 IS NULL OR id < ?1) AND (?3 OR team IS ?4) ORDER BY id DESC LIMIT ?2
"""

FORGET = "DELETE FROM audit WHERE id IN (SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT ?2) WHERE at < ?1)"


class Tokens(Base):
    """These verbs of the store."""

    async def add_token(self, token: Token) -> bool:
        return await self._writer.write(lambda tx: add(tx, token))

    async def tokens(self, *, revoked: bool = False) -> list[Token]:
        return self._read(lambda db: [_token(row) for row in db.execute(TOKENS, (revoked,))])

    async def revoke_token(self, name: str, now: float) -> bool:
        return await self._writer.write(lambda tx: revoke(tx, name, now))

    async def record(self, deed: Deed) -> None:
        await self._writer.write(lambda tx: record(tx, deed))

    async def deeds(self, before: int | None, limit: int, *, team: OfTeam = ALL) -> list[Deed]:
        return await self._read_long(lambda db: deeds(db, before, limit, team))

    async def forget_deeds(self, before: float, limit: int) -> int:
        return await self._writer.write(lambda tx: forget(tx, before, limit))


def add(tx: Transaction, token: Token) -> bool:
    lanes = None if token.lanes is None else orjson.dumps(sorted(token.lanes)).decode()
    row = (token.name, token.digest, token.role, token.team, lanes, token.highest, token.daily_budget, token.created_at)
    tx.db.execute(ADD, row)
    return tx.db.changes() > 0


def revoke(tx: Transaction, name: str, now: float) -> bool:
    tx.db.execute(REVOKE, (now, name))
    return tx.db.changes() > 0


def record(tx: Transaction, deed: Deed) -> None:
    detail = orjson.dumps(dict(deed.detail)).decode()
    tx.db.execute(RECORD, (deed.at, deed.who, deed.team, deed.action, deed.what, detail))


def deeds(db: apsw.Connection, before: int | None, limit: int, team: OfTeam) -> list[Deed]:
    everyone = isinstance(team, Everyone)
    found = db.execute(DEEDS, (before, limit, everyone, None if everyone else team))
    return [
        Deed(at, who, of, action, what, orjson.loads(detail), id_) for at, who, of, action, what, detail, id_ in found
    ]


def forget(tx: Transaction, before: float, limit: int) -> int:
    tx.db.execute(FORGET, (before, limit))
    return tx.db.changes()


def _token(row: tuple[Any, ...]) -> Token:
    name, digest, role, team, lanes, urgency, *rest = row
    allowed = None if lanes is None else frozenset(orjson.loads(lanes))
    return Token(name, bytes(digest), Role(role), team, allowed, None if urgency is None else Urgency(urgency), *rest)
