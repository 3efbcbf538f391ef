"""Files that clients of the service send."""

from __future__ import annotations

import apsw

from laneway.store.filing import Upload
from laneway.store.sqlite.connection import scalar
from laneway.store.sqlite.transaction import Transaction
from laneway.store.teams import Everyone, OfTeam

_UPLOADS = "SELECT id, name, purpose, size, created_at, team FROM upload WHERE size IS NOT NULL"
FIND = f"{_UPLOADS} AND id = ?"
OF_TEAM = f"{_UPLOADS} AND (? OR team IS ?) ORDER BY created_at DESC, id DESC"
FINISH = "UPDATE upload SET name = ?, purpose = ?, size = ?, created_at = ?, team = ? WHERE id = ?"
ADD = "INSERT INTO upload_piece (upload_id, number, content) VALUES (?, ?, ?)"
PIECE = "SELECT content FROM upload_piece WHERE upload_id = ? AND number = ?"
OLDER = "SELECT id FROM upload WHERE created_at < ? AND (size IS NULL OR NOT ?)"


def begin(tx: Transaction, upload_id: str, now: float) -> None:
    tx.db.execute("INSERT INTO upload (id, created_at) VALUES (?, ?)", (upload_id, now))


def add(tx: Transaction, upload_id: str, number: int, content: bytes) -> None:
    tx.db.execute(ADD, (upload_id, number, content))


def finish(tx: Transaction, upload: Upload) -> None:
    tx.db.execute(FINISH, (*upload[1:], upload.id))


def find(db: apsw.Connection, upload_id: str) -> Upload | None:
    return next((Upload(*row) for row in db.execute(FIND, (upload_id,))), None)


def of_team(db: apsw.Connection, team: OfTeam) -> list[Upload]:
    everyone, named = (True, None) if isinstance(team, Everyone) else (False, team)
    return [Upload(*row) for row in db.execute(OF_TEAM, (everyone, named))]


def piece(db: apsw.Connection, upload_id: str, number: int) -> bytes | None:
    content = scalar(db, PIECE, (upload_id, number))
    return None if content is None else bytes(content)


def drop(tx: Transaction, upload_id: str) -> bool:
    tx.db.execute("DELETE FROM upload_piece WHERE upload_id = ?", (upload_id,))
    tx.db.execute("DELETE FROM upload WHERE id = ?", (upload_id,))
    return tx.db.changes() > 0


def older(db: apsw.Connection, before: float, *, unfinished: bool) -> list[str]:
    return [upload_id for (upload_id,) in db.execute(OLDER, (before, unfinished))]
