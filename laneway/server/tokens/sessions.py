"""Browsers that logged in. What they hold is random and no token; the store has its hash, so that every server knows
it, a restart forgets nobody, and who reads the store cannot use it."""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.server.caller import Caller
from laneway.server.tokens.book import FRESH_S, TokenBook
from laneway.server.tokens.secrets import digest_of

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

COOKIE = "laneway_session"
STATE = "session:"  # and the hash of what the browser holds, in the store
MOST_REMEMBERED = 10_000


class Seen(NamedTuple):
    at: float
    said: dict[str, Any] | None


class Sessions:
    def __init__(self, lw: Laneway, book: TokenBook) -> None:
        self._lw = lw
        self._book = book
        self._seen: dict[str, Seen] = {}

    @property
    def lasts(self) -> float:
        """Seconds."""
        return self._lw.config.server.session

    async def begin(self, name: str) -> str:
        """Of the token of this name; what the browser is to hold."""
        known = await self._book.named(name)
        if known is None:
            raise LookupError(name)
        held, now = secrets.token_urlsafe(32), self._lw.clock.now()
        await self._lw.store.drop_states(STATE, now - self.lasts)
        said = {"token": name, "proof": _proof(held, known.digest)}
        await self._lw.store.save_state(_state(held), said, now)
        return held

    async def find(self, held: str) -> Caller | None:
        """None: it has expired, was ended, or its token was revoked or changed."""
        said = await self._look(_state(held))
        if said is None:
            return None
        known = await self._book.named(str(said.get("token")))
        if known is None or not hmac.compare_digest(_proof(held, known.digest), str(said.get("proof"))):
            return None
        return known.caller

    async def end(self, held: str) -> None:
        self._seen.pop(_state(held), None)
        await self._lw.store.drop_states(_state(held), float("inf"))

    async def _look(self, state: str) -> dict[str, Any] | None:
        now = self._lw.clock.now()
        seen = self._seen.get(state)
        if seen is None or now - seen.at >= FRESH_S:
            found = await self._lw.store.load_state(state)
            lives = found is not None and found[1] + self.lasts > now
            if len(self._seen) >= MOST_REMEMBERED:
                self._seen.clear()
            seen = self._seen[state] = Seen(now, dict(found[0]) if found is not None and lives else None)
        return seen.said


def _state(held: str) -> str:
    return STATE + digest_of(held).hex()


def _proof(held: str, digest: bytes) -> str:
    """That this session was begun with that token: another one under the same name does not take it over. Without
    ``held``, which is kept nowhere, it tells nothing of the token."""
    return hmac.new(held.encode(), digest, "sha256").hexdigest()
