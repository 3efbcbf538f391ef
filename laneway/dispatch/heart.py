"""A worker's heartbeat, on a thread that a busy event loop cannot starve, and that stops when the loop is stuck."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable

from laneway.clock import Clock
from laneway.errors import StoreError
from laneway.store.interface import Store

LEASE_S = 10.0
INTERVAL_S = 2.0
STUCK_AFTER_S = 30.0  # a loop that has not ticked for this long is taken for dead

log = logging.getLogger(__name__)


def new_worker_id() -> str:
    host = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname()).strip("-") or "host"
    return f"{host}-{os.getpid()}-{secrets.token_hex(2)}"


class Lease:
    """Until when others leave a worker's tasks alone, by its own clock: reckoned from when a renewal was sent, since
    nobody knows when it arrived."""

    def __init__(self, joined_at: float) -> None:
        self.held_until = joined_at + LEASE_S
        self.kept_at = joined_at
        self._steady_since = -math.inf

    def kept(self, sent_at: float, answered_at: float) -> None:
        if answered_at - self.kept_at > LEASE_S / 2:
            self._steady_since = answered_at
        self.kept_at = sent_at
        self.held_until = sent_at + LEASE_S

    def steady(self, now: float) -> bool:
        """Whether it was connected for one lease without a gap. After an outage of the store all leases are over, and
        who comes back first must not take the others for dead."""
        return now - self.kept_at <= LEASE_S / 2 and now - self._steady_since >= LEASE_S


class Heart:
    """Beats every ``INTERVAL_S``. ``lost`` is called on the loop when the store has declared the worker dead."""

    def __init__(self, store: Store, worker: str, clock: Clock, lost: Callable[[], None], lease: Lease) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._lost = lost
        self._lease = lease
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._ticked = time.monotonic()
        self._tick_handle = self._loop.call_soon(self._tick)
        self._thread = threading.Thread(target=self._beat, name="laneway-heart", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._tick_handle.cancel()
        self._thread.join()

    def tick_age(self) -> float:
        """Seconds since the event loop last ticked. Where this thread has gone the worker counts as stuck."""
        age = time.monotonic() - self._ticked
        return age if self._thread.is_alive() else max(age, STUCK_AFTER_S)

    def _tick(self) -> None:
        self._ticked = time.monotonic()
        self._tick_handle = self._loop.call_later(INTERVAL_S / 2, self._tick)

    def _beat(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            if time.monotonic() - self._ticked > STUCK_AFTER_S:
                log.error("the event loop has not moved for %.0f s: the lease is left to end", STUCK_AFTER_S)
                continue
            now = self._clock.now()
            try:
                alive = self._store.heartbeat(self._worker, LEASE_S, now)
            except StoreError as error:
                log.warning("heartbeat failed: %s", error.message)
                continue
            if alive:
                self._lease.kept(now, self._clock.now())
            elif not self._stop.is_set():
                self._loop.call_soon_threadsafe(self._lost)
