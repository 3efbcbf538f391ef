"""The connections of a PostgreSQL store, and what is read and written through each."""

from __future__ import annotations

import asyncio
import secrets

from laneway.store.heads import Heads
from laneway.store.postgres.cells import Cells
from laneway.store.postgres.connection import connect_first
from laneway.store.postgres.documents import Documents
from laneway.store.postgres.news import Announcer, Listener
from laneway.store.postgres.reads import Reads
from laneway.store.postgres.transaction import Transactions
from laneway.store.writer import Writer

BEAT_PATIENCE_S = 1.0  # a broken connection is replaced; a heart that waited longer could not be stopped
PATIENCE_S = 60.0  # how long a server may be away before what was asked of it fails


class Base:
    """Up to eight connections, each made when it is first needed: one that takes in; one that claims meanwhile; one
    that settles, and writes all else; one for what workers settle among themselves, where they may wait for each other;
    one for short reads and one for long ones; the heartbeat's; and one that listens to what other processes do.
    """

    def __init__(self, url: str, *, patience_s: float = PATIENCE_S) -> None:
        """``url``: as libpq takes it. Raises StoreError when the server cannot be reached now; outages of up to
        ``patience_s`` later on are waited for."""
        self.url = url
        self._spare = [connect_first(url)]
        self._documents = Documents()
        self._claiming, self._cells = Documents(), Cells()  # read in transactions that may come to nothing
        own = secrets.token_hex(4)
        self._beats = Reads(url, BEAT_PATIENCE_S, "heart")
        self._announcer = Announcer(own, self._beats)
        self._listener = Listener(url, own)
        self._transactions = (
            Transactions(url, self._spare, patience_s, self._announcer),
            Transactions(url, self._spare, patience_s, self._announcer),
            Transactions(url, self._spare, patience_s, self._announcer, self._undone),
            Transactions(url, self._spare, patience_s, self._announcer),
        )
        self._writers = [Writer(one.run_all) for one in self._transactions]
        self._writer, self._intake, self._claims, self._upkeep = self._writers
        self._read = Reads(url, patience_s, "short-reads")
        self._read_long = Reads(url, patience_s, "long-reads")
        self._latest: int | None = -1
        self._heads: dict[int | None, Heads] = {}

    @property
    def commits(self) -> int:
        """How many transactions were committed (many verbs share one)."""
        return sum(writer.commits for writer in self._writers)

    def _undone(self) -> None:
        self._claiming.forget()
        self._cells.forget()

    def forked(self) -> None:
        """libpq's connections stay the parent's: nothing is said on them here, not even goodbye."""

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        for writer, transactions in zip(self._writers, self._transactions, strict=True):
            writer.close()
            transactions.close()
        while self._spare:
            self._spare.pop().close()
        self._announcer.close()
        self._listener.close()
        for reads in (self._read, self._read_long, self._beats):
            reads.close()
