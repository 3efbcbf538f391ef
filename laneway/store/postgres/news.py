"""LISTEN and NOTIFY: who waits for others' work hears of it. What gets lost is made up for: everybody also looks by
himself now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress

import psycopg

from laneway.errors import StoreError
from laneway.store.news import News
from laneway.store.postgres.connection import Db, connect
from laneway.store.postgres.reads import Reads

CHANNEL = "laneway"
QUIET_S = 0.005  # between two notices of a process: what happens meanwhile is said once
AGAIN_S = 1.0


class Announcer:
    """Says what was committed. After the commit, and by itself: transactions that commit with a notice in them would
    wait for each other until it is on the disk."""

    def __init__(self, own: str, through: Reads) -> None:
        """``own``: the name of this process; its own notices are not news to it."""
        self._own = own
        self._through = through
        self._kinds: set[News] = set()
        self._lock = threading.Lock()
        self._due = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, kinds: Iterable[News]) -> None:
        with self._lock:
            self._kinds.update(kinds)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="laneway-announcer", daemon=True)
                self._thread.start()
        self._due.set()

    def close(self) -> None:
        """What was committed last is said before."""
        self._stop.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            self._due.wait()
            self._due.clear()
            with self._lock:
                kinds, self._kinds = self._kinds, set()
            if kinds:
                payload = " ".join([self._own, *sorted(kinds)])
                with suppress(StoreError):
                    self._through.now(lambda db, payload=payload: _notify(db, payload))  # type: ignore[misc]
            self._stop.wait(QUIET_S)


def _notify(db: Db, payload: str) -> None:
    db.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))


class Listener:
    """Calls those who want to hear of others' notices, from a thread of its own. Connects when the first one comes."""

    def __init__(self, url: str, own: str) -> None:
        self._url = url
        self._own = own
        self._ears: list[tuple[News, Callable[[], None]]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, kind: News, heard: Callable[[], None]) -> Callable[[], None]:
        ear = (kind, heard)
        self._ears.append(ear)
        if self._thread is None:
            self._thread = threading.Thread(target=self._listen, name="laneway-listener", daemon=True)
            self._thread.start()

        def forget() -> None:
            with suppress(ValueError):
                self._ears.remove(ear)

        return forget

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with connect(self._url) as db:
                    db.execute(f"LISTEN {CHANNEL}")
                    self._tell(News)  # what was said before
                    while not self._stop.is_set():
                        for notice in db.notifies(timeout=0.2):
                            own, *kinds = notice.payload.split()
                            if own != self._own:
                                self._tell(kinds)
            except psycopg.Error:
                self._stop.wait(AGAIN_S)

    def _tell(self, kinds: Iterable[str]) -> None:
        heard = set(kinds)
        for kind, ear in list(self._ears):
            if kind in heard:
                ear()
