"""The store interface on one PostgreSQL database, for any number of machines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from laneway.store.budgets import NO_LIMITS, Budget, Limits, Spending
from laneway.store.cells import Backlog, CellTally, Head, Pick
from laneway.store.detours import Detour, Strays
from laneway.store.figures import PastCall, RunFigures
from laneway.store.grants import Capacity, Demand, Grant
from laneway.store.heads import Heads
from laneway.store.keeping import Pruned
from laneway.store.news import News
from laneway.store.postgres import (
    checking,
    detours,
    feedback,
    kept,
    past,
    pruning,
    queue,
    reading,
    runs,
    settling,
    spending,
    steering,
    submitting,
    workers,
)
from laneway.store.postgres.beside import Beside
from laneway.store.postgres.connection import scalar, server_time
from laneway.store.postgres.heads import HeadSource
from laneway.store.postgres.tallies import Tallies
from laneway.store.postgres.tokens import Tokens
from laneway.store.postgres.views import Views
from laneway.store.postgres.webhooks import Webhooks
from laneway.store.results import Result
from laneway.store.runs import Run, Sealed, Submitted
from laneway.store.steering import Change, Extent, Pause, PauseKind, Selector, Waiting
from laneway.store.workers import Doing, Part, Reaped, WorkerInfo
from laneway.task import Attempt, Claimed, NewTask, Settlement, State, Task

POLL_S = 0.5  # notices come at once; this is for those that were lost


class PostgresStore(Beside, Tallies, Tokens, Views, Webhooks):
    """Implements ``laneway.store.interface.Store``."""

    # runs
    async def open_run(
        self,
        identity: str,
        *,
        info: Mapping[str, Any],
        max_cost: float | None,
        now: float,
        fresh: bool = False,
        join: bool = False,
    ) -> Run:
        return await self._intake.write(lambda tx: runs.open_run(tx, identity, info, max_cost, now, fresh, join))

    async def find_run(self, identity: str) -> Run | None:
        return await self._read(lambda db: runs.find_run(db, identity))

    async def get_run(self, run_id: int) -> Run:
        return await self._read(lambda db: runs.get_run(db, run_id))

    async def runs(self, limit: int = 50) -> list[Run]:
        return await self._read(lambda db: runs.list_runs(db, limit))

    async def submit(self, run: Run, tasks: Sequence[NewTask], now: float, *, held: bool = False) -> Submitted:
        return await self._intake.write(lambda tx: submitting.submit(tx, run, tasks, now, held))

    def owns(self, connection: object, path: str) -> bool:
        return False  # the outbox beside the caller's own tables serves every database

    def submit_within(self, connection: object, identity: str, tasks: Sequence[NewTask], now: float) -> Submitted:
        raise NotImplementedError("owns() says that no connection is this store's")

    async def named(self, run: Run, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        return await self._read(lambda db: submitting.named(db, run, keys))

    async def seal_run(self, run: Run, now: float) -> Sealed:
        sealed = await self._intake.write(lambda tx: runs.seal(tx, run, now))
        opened = 0
        if span := await self._read_long(lambda db: runs.held_range(db, run)):
            for low in range(span[0], span[1] + 1, runs.SEAL_CHUNK):
                high = min(low + runs.SEAL_CHUNK - 1, span[1])
                opened += await self._intake.write(partial(runs.open_held, run=run, low=low, high=high, now=now))
        return Sealed(opened, sealed.dropped, sealed.rewrite)

    async def abandon_run(self, run: Run) -> None:
        await self._intake.write(lambda tx: runs.abandon(tx, run))

    async def end_budget(self, run_id: int) -> None:
        await self._writer.write(lambda tx: runs.end_budget(tx, run_id))

    async def save_cursor(self, run_id: int, cursor: int, offset: int) -> None:
        await self._writer.write(lambda tx: runs.save_cursor(tx, run_id, cursor, offset))

    # the queue
    async def peek(
        self,
        now: float,
        *,
        depth: int,
        run_id: int | None = None,
        deeper: Mapping[int, int] | None = None,
        most: int | None = None,
    ) -> list[Head]:
        heads = self._heads.setdefault(run_id, Heads(run_id))
        return await self._read(lambda db: heads.look(HeadSource(db), depth, deeper or {}, most))

    async def wake(self, now: float) -> float | None:
        next_at = await self._read(lambda db: scalar(db, queue.NEXT_WAKE))
        if next_at is None or next_at > now:
            return None if next_at is None else float(next_at)
        await self._writer.write(lambda tx: queue.wake(tx, now))
        later = await self._read(lambda db: scalar(db, queue.NEXT_WAKE))
        return None if later is None else float(later)

    async def claim(self, worker: str, picks: Sequence[Pick], now: float, limits: Limits = NO_LIMITS) -> list[Claimed]:
        return await self._claims.write(
            lambda tx: queue.claim(tx, self._claiming, self._cells, worker, picks, now, limits)
        )

    def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> Awaitable[list[bool]]:
        return self._writer.write(lambda tx: settling.settle(tx, worker, settlements, now))

    async def strays(self, cell_id: int, after: tuple[float, int] | None, limit: int) -> Strays:
        return await self._read(lambda db: detours.strays(db, self._documents, cell_id, after, limit))

    async def divert(
        self, cell_id: int, task_ids: Sequence[int], model: str, reason: str, now: float
    ) -> tuple[int, list[int]]:
        return await self._writer.write(lambda tx: detours.divert(tx, cell_id, task_ids, model, reason, now))

    async def record_call(self, worker: str, attempt: Attempt, run_id: int, limits: Limits = NO_LIMITS) -> bool:
        return await self._writer.write(lambda tx: queue.record_call(tx, worker, attempt, run_id, limits))

    async def spending(self, now: float) -> dict[Budget, Spending]:
        return await self._read(lambda db: spending.of_day(db, now))

    async def held_by_budget(self, run_id: int | None = None) -> dict[str, int]:
        return await self._read_long(lambda db: spending.waiting(db, run_id))

    async def release_held(self, limits: Limits, now: float) -> int:
        if not await self._read(spending.any_held):
            return 0
        return await self._writer.write(lambda tx: spending.release(tx, limits, now))

    async def cancel(self, task_ids: Sequence[int], now: float) -> int:
        return await self._writer.write(lambda tx: queue.cancel(tx, task_ids, now))

    async def settle_kept(self, run_id: int, now: float, limit: int = 500) -> int:
        return await self._writer.write(lambda tx: kept.settle_kept(tx, run_id, now, limit))

    async def retry(self, task_ids: Sequence[int], now: float) -> int:
        return await self._writer.write(lambda tx: queue.retry(tx, task_ids))

    # steering
    async def pause(self, kind: PauseKind, name: str, now: float) -> bool:
        return await self._writer.write(lambda tx: steering.pause(tx, kind, name, now))

    async def resume(self, kind: PauseKind, name: str, now: float) -> bool:
        return await self._writer.write(lambda tx: steering.resume(tx, kind, name))

    async def pauses(self) -> list[Pause]:
        return await self._read(steering.pauses)

    async def select(self, selector: Selector) -> list[int]:
        return await self._read_long(lambda db: steering.select(db, selector))

    async def extent(self, selector: Selector) -> Extent:
        return await self._read_long(lambda db: steering.extent(db, selector))

    async def adjust(self, task_ids: Sequence[int], change: Change, now: float) -> int:
        return await self._writer.write(lambda tx: steering.adjust(tx, task_ids, change))

    async def waiting(self, run_id: int | None = None, *, aside: bool = False) -> list[Waiting]:
        return await self._read_long(lambda db: steering.waiting(db, run_id, aside=aside))

    # workers and shares
    async def join(self, worker: str, lease: float, now: float) -> None:
        await self._writer.write(lambda tx: workers.join(tx, worker, lease, now))

    def heartbeat(self, worker: str, lease: float, now: float) -> bool:
        return self._beats.now(lambda db: workers.heartbeat(db, worker, lease, now))

    async def leave(self, worker: str, now: float) -> None:
        await self._writer.write(lambda tx: workers.leave(tx, worker, now))

    async def reap(self, worker: str, now: float) -> Reaped:
        if not await self._read(lambda db: workers.any_over(db, worker, now)):
            return Reaped()
        return await self._upkeep.write(lambda tx: workers.reap(tx, worker, now))

    async def workers(self, now: float) -> list[WorkerInfo]:
        return await self._read(reading.workers)

    async def doing(self) -> list[Doing]:
        return await self._read(reading.doing)

    async def parts(self, now: float) -> list[Part]:
        return await self._read(lambda db: reading.parts(db, now))

    async def renew_grants(
        self, worker: str, asks: Mapping[str, tuple[Capacity, Demand]], now: float, lease: float
    ) -> dict[str, Grant]:
        return await self._upkeep.write(lambda tx: workers.renew_grants(tx, worker, asks, now, lease))

    async def save_state(self, name: str, state: Mapping[str, Any], now: float) -> None:
        await self._upkeep.write(lambda tx: workers.save_state(tx, name, state, now))

    async def load_state(self, name: str) -> tuple[Mapping[str, Any], float] | None:
        return await self._read(lambda db: reading.load_state(db, name))

    async def states(self, prefix: str) -> dict[str, tuple[Mapping[str, Any], float]]:
        return await self._read(lambda db: reading.states(db, prefix))

    async def drop_states(self, prefix: str, before: float) -> int:
        return await self._upkeep.write(lambda tx: workers.drop_states(tx, prefix, before))

    # reading
    async def tally(self, run_id: int | None = None, *, aside: bool = False) -> list[CellTally]:
        return await self._read(lambda db: reading.tally(db, run_id, aside=aside))

    async def backlog(self) -> Backlog:
        return await self._read(reading.backlog)

    async def find_task(self, ref: str, run_id: int | None = None) -> Task:
        return await self._read(lambda db: reading.find_task(db, self._documents, ref, run_id))

    async def get_tasks(self, ids: Sequence[int]) -> list[Task]:
        return await self._read(lambda db: reading.get_tasks(db, self._documents, ids))

    async def attempts(self, task_id: int) -> list[Attempt]:
        return await self._read(lambda db: reading.attempts(db, task_id))

    async def detours(self, run_id: int, task_id: int) -> list[Detour]:
        return await self._read(lambda db: detours.of_task(db, run_id, task_id))

    async def diverted(self, run_id: int, since: float) -> dict[tuple[str, str], int]:
        return await self._read_long(lambda db: detours.counted(db, run_id, since))

    async def results_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        return await self._read_long(lambda db: reading.results_after(db, self._documents, run, cursor, limit))

    async def failed_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        return await self._read_long(
            lambda db: reading.results_after(db, self._documents, run, cursor, limit, failed=True)
        )

    async def ended_after(self, cursor: int, limit: int) -> list[tuple[int, int]]:
        return await self._read(lambda db: reading.ended_after(db, cursor, limit))

    async def last_result(self) -> int:
        return await self._read(reading.last_result)

    async def figures(self, run: Run, *, since: float | None = None) -> RunFigures:
        return await self._read_long(lambda db: reading.figures(db, self._documents, run, since))

    async def known(self, run: Run, keys: Sequence[str]) -> Mapping[tuple[str, bytes], State]:
        return await self._read_long(lambda db: past.known(db, run.id, keys))

    async def past_calls(self, model: str, limit: int) -> list[PastCall]:
        return await self._read_long(lambda db: past.calls(db, self._documents, model, limit))

    async def attempts_of(self, task_ids: Sequence[int]) -> list[Attempt]:
        return await self._read_long(lambda db: feedback.attempts_of(db, task_ids))

    # keeping
    async def prune(
        self, before: float, *, run_id: int | None = None, after: int = 0, limit: int = 1000, dry: bool = False
    ) -> Pruned:
        found, ids = await self._read_long(lambda db: pruning.look(db, before, run_id, after, limit))
        if dry or not ids:
            return found
        return await self._writer.write(lambda tx: pruning.take_away(tx, before, run_id, after, limit))

    async def pruned(self, run: Run) -> int:
        return await self._read_long(lambda db: pruning.pruned(db, run.id, run.generation))

    async def scrub(self, *, shrink: bool) -> bool:
        return await self._read_long(lambda db: pruning.scrub(db, shrink=shrink))

    @property
    def in_order(self) -> bool:
        return False  # submissions and claims have connections of their own

    @property
    def poll_s(self) -> float:
        return POLL_S

    def listen(self, kind: News, heard: Callable[[], None]) -> Callable[[], None]:
        return self._listener.add(kind, heard)

    def time(self) -> float | None:
        return self._beats.now(server_time)

    async def changed(self) -> bool:
        latest = await self._read(lambda db: scalar(db, "SELECT max(changed) FROM laneway.cell_count"))
        changed, self._latest = bool(latest != self._latest), latest
        return changed

    async def check(self) -> list[str]:
        return await self._read_long(checking.check)
