"""Who is to be told when a task has ended, and how far that has come."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

NOT_ENDED = 4_102_444_800.0  # `next_at` of those whose task has not ended: the year 2100
KEPT_S = 30 * 86_400.0  # how long it is known what became of one


class HookState(StrEnum):
    WAITING = "waiting"  # for the end of its task
    PENDING = "pending"  # for a delivery
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class Webhook(NamedTuple):
    """``attempts``: deliveries that were begun. ``next_at``: of the next one; None: nothing more is sent. ``done_at``:
    when it was delivered, or given up: then ``error`` says why."""

    id: str
    task_id: int
    url: str
    team: str | None
    created_at: float
    attempts: int = 0
    next_at: float | None = NOT_ENDED
    done_at: float | None = None
    error: str | None = None

    @property
    def state(self) -> HookState:
        if self.next_at is not None:
            return HookState.WAITING if self.next_at == NOT_ENDED else HookState.PENDING
        return HookState.DELIVERED if self.error is None else HookState.GIVEN_UP


class Announcing(Protocol):
    """This part of the store. A task that goes again after it has ended is told of again."""

    async def add_webhooks(self, webhooks: Sequence[Webhook], now: float) -> None:
        """Known ones stay as they are. Due at once where the task has ended already."""
        ...

    async def rouse_webhooks(self, after: int | None, now: float) -> int:
        """Make those due whose task ended behind a sequence number of results; None: whenever, and forget what was done
        with long ago. Returns the newest sequence number."""
        ...

    async def claim_webhooks(self, now: float, until: float, limit: int) -> list[Webhook]:
        """Some that are due, those due longest. Nobody else gets them before ``until``."""
        ...

    async def settle_webhook(self, claimed: Webhook, after: Webhook) -> bool:
        """What came of a delivery. False where somebody else has begun another meanwhile."""
        ...

    async def webhooks(self, task_id: int) -> list[Webhook]: ...
