"""Workers as the store knows them: who is there, what each does and has, and what became of the dead ones' tasks."""

from __future__ import annotations

from typing import NamedTuple

POISON_AFTER = 3  # workers that may die holding one task before it is given up


class Reaped(NamedTuple):
    workers: tuple[str, ...] = ()
    returned: int = 0  # tasks made ready again
    poisoned: int = 0  # tasks failed because workers kept dying of them
    called_off: int = 0  # tasks whose client was gone with a worker, wherever they stood


class WorkerInfo(NamedTuple):
    id: str
    host: str
    pid: int
    joined_at: float
    heartbeat_at: float
    lease_until: float
    running: int


class Doing(NamedTuple):
    """What a worker has in flight in one lane."""

    worker: str
    lane: str
    running: int
    since: float | None  # when the oldest of these calls began


class Part(NamedTuple):
    """What a worker has of an account at the moment."""

    worker: str
    account: str
    share: float  # of its limits a minute, 0 to 1
    slots: int  # of its concurrency
