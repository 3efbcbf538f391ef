"""When a run with a budget ends, in simulated time: also where a Python task is in the middle of its own calls."""

from __future__ import annotations

import asyncio

import pytest

from laneway.dispatch.ending import Stop, StopReason
from laneway.providers.model import Reply
from laneway.task import Attempt, Claimed, NewTask, Outcome, Spec, Urgency, Usage, Wire
from tests.dispatch.world import Stage, World, in_world, task

CALL = 0.00015  # USD: what a call reserves and costs here
CODE = Spec("code", Wire.PYTHON)
LONG_S = 120.0  # after which a run that has not ended is one that never would


def function(key: str) -> NewTask:
    return task(key, Urgency.URGENT, model="", spec=CODE)


async def call(stage: Stage, of: Claimed, number: int) -> None:
    """One call that a running task makes itself: admitted, opened in the ledger, made, and closed there."""
    while True:
        admission = await stage.dispatcher.admission("small", 100, 50, of)
        at = stage.clock.now()
        line = Attempt(of.id, of.fence, number, "small", "main", at, CALL, None, None, None, None, None, None, None)
        if await stage.store.record_call("w", line, of.run_id):
            break
        admission.desk.release(admission, at)
        stage.dispatcher.budget_used_up(of)
    stage.dispatcher.calling += 1
    await asyncio.sleep(0.3)
    reply = Reply(b"{}", Usage(100, 50), None, 0.3)
    admission.desk.settle(admission, reply, stage.clock.now())
    closed = line._replace(outcome=Outcome.OK, latency=0.3, usage=reply.usage, cost=CALL)
    await stage.store.record_call("w", closed, of.run_id)
    stage.dispatcher.calling -= 1
    stage.dispatcher.budget_freed()


async def calls_on(stage: Stage, of: Claimed) -> Reply:
    """More calls than any budget here pays for."""
    for number in range(1, 100):
        await call(stage, of, number)
    return Reply(b"null", None, None, 30.0)


async def give_up(world: World) -> None:
    await asyncio.sleep(LONG_S)
    world.dispatcher.drain()


@pytest.mark.parametrize("queued", [0, 1, 20])
@pytest.mark.parametrize("functions", [1, 3])
def test_a_budget_that_has_nothing_for_tasks_nor_for_a_function_s_next_call_ends_the_run(
    functions: int, queued: int
) -> None:
    async def then(world: World, stop: Stop) -> None:
        assert stop.reason is StopReason.BUDGET
        assert (await world.store.get_run(world.run.id)).spent == pytest.approx(10 * CALL)
        assert world.seconds < LONG_S + 1

    tasks = [*(function(f"f{i}") for i in range(functions)), *(task(f"t{i}") for i in range(queued))]
    in_world(tasks, then, code=calls_on, max_cost=10.5 * CALL, meanwhile=give_up)
