"""Files that clients of the service send: kept in pieces, seen when they are complete."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from laneway.store.teams import OfTeam


class Upload(NamedTuple):
    """``size``: bytes."""

    id: str
    name: str
    purpose: str
    size: int
    created_at: float
    team: str | None = None


class Filing(Protocol):
    """This part of the store."""

    async def begin_upload(self, upload_id: str, now: float) -> None: ...

    async def add_piece(self, upload_id: str, number: int, content: bytes) -> None:
        """Pieces are numbered from 0."""
        ...

    async def finish_upload(self, upload: Upload) -> None:
        """All of its pieces are there: from now on it is seen."""
        ...

    async def find_upload(self, upload_id: str) -> Upload | None: ...

    async def uploads(self, team: OfTeam) -> list[Upload]:
        """The complete ones of a team, the newest first."""
        ...

    async def piece(self, upload_id: str, number: int) -> bytes | None:
        """None: there are no more."""
        ...

    async def drop_upload(self, upload_id: str) -> bool:
        """Complete or not. False when there is none."""
        ...

    async def drop_uploads(self, before: float, *, unfinished: bool = False, dry: bool = False) -> int:
        """Those that came before a time: all of them, or those that never came whole. Returns how many. ``dry``: only
        count them."""
        ...
