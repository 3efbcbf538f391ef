"""Servers that are away, full or restarting."""

from __future__ import annotations

import logging
import random
import time

import psycopg

from laneway.store.postgres.connection import is_outage, store_error
from laneway.store.writer import GoneError

LONGEST_PAUSE_S = 2.0
BRIEF_S = 1.0  # a connection that broke and could be replaced is not worth a word

log = logging.getLogger(__name__)


class Outage:
    """Waits for a server that is away, full or restarting, and says so once."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._url = url
        self._patience_s = patience_s
        self._since: float | None = None
        self._tries = 0
        self._said = False

    def wait(self, error: psycopg.Error) -> None:
        """Before the next try. Raises StoreError for what does not pass, GoneError when patience has ended."""
        now = time.monotonic()
        fault = store_error(self._url, error)
        if self._since is None:
            self._since = now
        if not is_outage(error):
            raise fault from error
        if now - self._since >= self._patience_s:
            raise GoneError(fault.message, hint=fault.hint) from error
        if not self._said and now - self._since >= BRIEF_S:
            self._said = True
            log.warning("%s; trying again until it is back", fault.message)
        time.sleep(random.uniform(0.5, 1) * min(LONGEST_PAUSE_S, 0.02 * 2**self._tries))
        self._tries = min(self._tries + 1, 10)

    def over(self) -> None:
        if self._since is not None and self._said:
            log.warning("the store is back after %.1f s", time.monotonic() - self._since)
