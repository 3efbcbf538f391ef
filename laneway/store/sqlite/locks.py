"""Locks between processes: a queue before writing, and a worker's sign of life that the kernel takes back at its
death."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class FileLock:
    """An advisory lock on a file. Waiters are woken by the kernel, without polling. No-op on Windows."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self.path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock, hold it for the block."""
        if sys.platform != "win32":
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            if sys.platform != "win32":
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it; it stays ours until ``close`` or the process's end."""
        if sys.platform != "win32":
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LifeSigns:
    """Which workers of this store are alive on this machine: each holds a lock on a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._own: dict[str, FileLock] = {}

    def begin(self, worker: str) -> None:
        if sys.platform == "win32" or worker in self._own:  # joining again after a lost lease
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        lock = FileLock(self._path(worker))
        if not lock.try_acquire():
            lock.close()
            raise OSError(f"worker {worker} is alive already")
        self._own[worker] = lock

    def end(self, worker: str) -> None:
        if lock := self._own.pop(worker, None):
            lock.path.unlink(missing_ok=True)
            lock.close()

    def certainly_dead(self, worker: str) -> bool:
        """True when the worker's lock is free: its process has ended. False when it lives or cannot be told."""
        if worker in self._own or sys.platform == "win32":
            return False
        path = self._path(worker)
        if not path.exists():
            return False  # on another machine, or never here
        lock = FileLock(path)
        try:
            return lock.try_acquire()
        finally:
            lock.close()

    def forget(self, worker: str) -> None:
        """Remove a dead worker's file."""
        if worker not in self._own:
            self._path(worker).unlink(missing_ok=True)

    def forked(self) -> None:
        """In a forked child: else it would show its parent as alive."""
        for lock in self._own.values():
            lock.close()
        self._own.clear()

    def close(self) -> None:
        for worker in list(self._own):
            self.end(worker)

    def _path(self, worker: str) -> Path:
        return self._folder / f"{worker}.alive"
