"""Who may ask the service, and what they changed through it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from laneway.store.teams import ALL, OfTeam
from laneway.task import Urgency


class Role(StrEnum):
    SUBMIT = "submit"
    OPERATE = "operate"  # submits, too


class Token(NamedTuple):
    """``digest``: SHA-256 of what its owner was given, which is kept nowhere. ``lanes`` None: all. ``highest``: the
    most urgent that may be asked for. ``daily_budget``: USD."""

    name: str
    digest: bytes
    role: Role
    team: str | None = None
    lanes: frozenset[str] | None = None
    highest: Urgency | None = None
    daily_budget: float | None = None
    created_at: float = 0.0
    revoked_at: float | None = None


class Deed(NamedTuple):
    """One thing that somebody changed. ``who``: a token's name. ``what``: what it was done to."""

    at: float
    who: str
    team: str | None
    action: str
    what: str
    detail: Mapping[str, Any] = {}
    id: int = 0  # given by the store


class Vouching(Protocol):
    """This part of the store."""

    async def add_token(self, token: Token) -> bool:
        """False when the name is in use, or was: the audit log would not tell them apart."""
        ...

    async def tokens(self, *, revoked: bool = False) -> list[Token]:
        """By name. ``revoked``: those, too."""
        ...

    async def revoke_token(self, name: str, now: float) -> bool:
        """False when there is no such token, or it was revoked before."""
        ...

    async def record(self, deed: Deed) -> None: ...

    async def deeds(self, before: int | None, limit: int, *, team: OfTeam = ALL) -> list[Deed]:
        """The newest first, those before an id. ``team``: done by somebody of it."""
        ...

    async def forget_deeds(self, before: float, limit: int) -> int:
        """Let go of what was done before that time. Looks at so many of the oldest; returns how many of them went."""
        ...
