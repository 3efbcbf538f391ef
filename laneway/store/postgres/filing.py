"""Files that clients of the service send."""

from __future__ import annotations

from laneway.store.filing import Upload
from laneway.store.postgres.connection import Db, rows, text
from laneway.store.postgres.transaction import Transaction
from laneway.store.teams import Everyone, OfTeam

_UPLOADS = "SELECT id, name, purpose, size, created_at, team FROM laneway.upload WHERE size IS NOT NULL"
FIND = f"{_UPLOADS} AND id = %s"
OF_TEAM = f"{_UPLOADS} AND (%s OR team IS NOT DISTINCT FROM %s::text) ORDER BY created_at DESC, id DESC"
FINISH = "UPDATE laneway.upload SET name = %s, purpose = %s, size = %s, created_at = %s, team = %s WHERE id = %s"
ADD = "INSERT INTO laneway.upload_piece (upload_id, number, content) VALUES (%s, %s, %s)"
PIECE = "SELECT content FROM laneway.upload_piece WHERE upload_id = %s AND number = %s"
OLDER = "SELECT id FROM laneway.upload WHERE created_at < %s AND (size IS NULL OR NOT %s)"


def begin(tx: Transaction, upload_id: str, now: float) -> None:
    tx.db.execute("INSERT INTO laneway.upload (id, created_at) VALUES (%s, %s)", (upload_id, now))


def add(tx: Transaction, upload_id: str, number: int, content: bytes) -> None:
    tx.db.execute(ADD, (upload_id, number, content))


def finish(tx: Transaction, upload: Upload) -> None:
    said = (text(upload.name), text(upload.purpose), upload.size, upload.created_at, text(upload.team), upload.id)
    tx.db.execute(FINISH, said)


def find(db: Db, upload_id: str) -> Upload | None:
    return next((Upload(*row) for row in rows(db, FIND, (text(upload_id),))), None)


def of_team(db: Db, team: OfTeam) -> list[Upload]:
    everyone, named = (True, None) if isinstance(team, Everyone) else (False, text(team))
    return [Upload(*row) for row in rows(db, OF_TEAM, (everyone, named))]


def piece(db: Db, upload_id: str, number: int) -> bytes | None:
    return next((bytes(content) for (content,) in rows(db, PIECE, (text(upload_id), number))), None)


def drop(tx: Transaction, upload_id: str) -> bool:
    tx.db.execute("DELETE FROM laneway.upload_piece WHERE upload_id = %s", (text(upload_id),))
    return tx.db.execute("DELETE FROM laneway.upload WHERE id = %s", (text(upload_id),)).rowcount > 0


def older(db: Db, before: float, *, unfinished: bool) -> list[str]:
    return [upload_id for (upload_id,) in rows(db, OLDER, (before, unfinished))]
