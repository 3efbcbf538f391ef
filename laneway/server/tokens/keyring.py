"""Who comes in: by token, by a browser's session, or, while there are no tokens, anybody who can reach the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laneway.server.caller import LOCAL, Caller
from laneway.server.envelopes import Refusal
from laneway.server.rates import Rates
from laneway.server.tokens.book import TokenBook
from laneway.server.tokens.sessions import Sessions

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

WRONG_A_MINUTE = 10  # tokens that one address may get wrong


class Keyring:
    """``opened``: others than this machine's users reach the server, so nobody comes in without a token."""

    def __init__(self, lw: Laneway, secret: str | None = None, *, opened: bool = False) -> None:
        self._lw = lw
        self._opened = opened
        self._wrong = Rates(WRONG_A_MINUTE)
        self.book = TokenBook(lw, secret)
        self.sessions = Sessions(lw, self.book)

    async def open(self) -> bool:
        """Whether anybody may ask."""
        return not self._opened and not await self.book.required()

    async def admit(self, secret: str, held: str, address: str) -> Caller:
        """``secret``: what came as a token, ``held``: as a session's cookie. Raises Refusal."""
        if await self.open():
            return LOCAL
        if secret:
            return await self.owner(secret, address)
        known = await self.sessions.find(held) if held else None
        if known is None:
            raise unknown()
        return known

    async def owner(self, secret: str, address: str) -> Caller:
        """Of a token. Raises Refusal. An address that has got too many wrong is told to wait: the environment's token
        was chosen by a person, and may be guessed. The store's cannot."""
        known = await self.book.find(secret)
        if known is not None:
            return known
        now = self._lw.clock.now()
        if wait := self._wrong.wait(address, now):
            raise Refusal(429, "too many wrong tokens came from there", code="rate_limit", again=True, retry_after=wait)
        known = self.book.is_own(secret)
        if known is None:
            self._wrong.take(address, now)
            raise unknown()
        return known


def unknown() -> Refusal:
    return Refusal(401, "a wrong token, or none; send it as the API key", code="invalid_api_key")
