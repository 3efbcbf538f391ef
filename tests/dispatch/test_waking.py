"""How often a worker asks whom to wake."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.dispatch.waking import LOOK_S, Waking
from laneway.errors import StoreError

NOW = 1000.0


class Waits:
    """A store with one waiting task, perhaps."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.next_at: float | None = None
        self.fault: StoreError | None = None

    async def wake(self, now: float) -> float | None:
        self.asked.append(now)
        if self.fault is not None:
            raise self.fault
        return self.next_at


@pytest.fixture
def store() -> Any:
    return Waits()


async def test_rounds_that_follow_one_another_ask_once(store: Any) -> None:
    waking = Waking(store)
    store.next_at = NOW + 60
    assert [await waking.wake(NOW + i * LOOK_S / 4) for i in range(8)] == [NOW + 60] * 8
    assert store.asked == [NOW, NOW + LOOK_S]


async def test_it_asks_when_the_next_ones_time_has_come(store: Any) -> None:
    waking = Waking(store)
    store.next_at = NOW + LOOK_S / 2
    for at in (NOW, NOW + LOOK_S / 4, NOW + LOOK_S / 2):
        await waking.wake(at)
    assert store.asked == [NOW, NOW + LOOK_S / 2]


async def test_it_asks_at_once_when_a_task_of_its_own_waits(store: Any) -> None:
    waking = Waking(store)
    assert await waking.wake(NOW) is None
    store.next_at = NOW + LOOK_S / 2
    waking.made_wait()
    assert await waking.wake(NOW) == NOW + LOOK_S / 2


async def test_after_an_error_it_asks_again(store: Any) -> None:
    waking, store.fault = Waking(store), StoreError("away")
    for _ in range(2):
        with pytest.raises(StoreError):
            await waking.wake(NOW)
    store.fault = None
    await waking.wake(NOW)
    waking.made_wait()
    store.fault = StoreError("away")
    with pytest.raises(StoreError):
        await waking.wake(NOW)
    store.fault, store.next_at = None, NOW + 1
    assert await waking.wake(NOW) == NOW + 1
