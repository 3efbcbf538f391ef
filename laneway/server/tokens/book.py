"""The tokens that are valid now: the store's, looked at every few seconds, and the one of the environment."""

from __future__ import annotations

import asyncio
import hmac
from typing import TYPE_CHECKING, NamedTuple

from laneway.errors import StoreError
from laneway.server.caller import Caller
from laneway.server.envelopes import of_error
from laneway.server.tokens.secrets import digest_of

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.tokens import Token

FRESH_S = 2.0  # after which the store is asked again, beside the requests …
HOLDS_S = 4.0  # … and after which they wait for its answer: a revoked token is heeded no longer
OPERATOR = "LANEWAY_TOKEN"  # what the owner of the environment's token is called


class Known(NamedTuple):
    digest: bytes
    caller: Caller


class TokenBook:
    """``secret``: the environment's token; its owner operates."""

    def __init__(self, lw: Laneway, secret: str | None) -> None:
        self._lw = lw
        own = None if secret is None else Known(digest_of(secret), Caller(OPERATOR))
        self._own = own
        self._known: dict[bytes, Known] = {}
        self._names: dict[str, Known] = {}
        self._any = False
        self._read_at = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._away: StoreError | None = None

    async def required(self) -> bool:
        """Whether who asks must show a token: if there is one, or ever was. Who revokes the last does not open the
        service to everybody. Raises Refusal while nothing is known, since the store is away."""
        if self._own is not None:
            return True
        await self._look()
        return self._any

    async def find(self, secret: str) -> Caller | None:
        """Raises Refusal while nothing is known, since the store is away."""
        await self._look()
        digest = digest_of(secret)
        known = self._known.get(digest)  # what its timing tells of a hash is no help to find what has it
        return known.caller if known is not None and hmac.compare_digest(known.digest, digest) else None

    def is_own(self, secret: str) -> Caller | None:
        """Whether it is the environment's, which people choose: guessing at it must be slow."""
        own = self._own
        return own.caller if own is not None and hmac.compare_digest(own.digest, digest_of(secret)) else None

    async def named(self, name: str) -> Known | None:
        """The valid token of this name. Raises Refusal like ``find``."""
        await self._look()
        return self._own if self._own is not None and name == OPERATOR else self._names.get(name)

    async def _look(self) -> None:
        age = self._lw.clock.now() - self._read_at
        if age < FRESH_S:
            return
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        if age >= HOLDS_S:
            await asyncio.shield(self._reading)
            if self._away is not None:
                raise of_error(self._away) from self._away

    async def _read(self) -> None:
        began = self._lw.clock.now()
        try:
            tokens = await self._lw.store.tokens(revoked=True)
        except StoreError as error:
            self._away = error
        else:
            self._any, self._away, self._read_at = bool(tokens), None, began
            known = [Known(token.digest, caller_of(token)) for token in tokens if token.revoked_at is None]
            self._known = {one.digest: one for one in known}
            self._names = {one.caller.name: one for one in known}
        finally:
            self._reading = None


def caller_of(token: Token) -> Caller:
    return Caller(token.name, token.team, token.role, token.lanes, token.highest, token.daily_budget)
