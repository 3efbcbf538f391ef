"""The store interface on one SQLite file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import apsw
import orjson

from laneway.errors import UsageError
from laneway.store.budgets import NO_LIMITS, Budget, Limits, Spending
from laneway.store.cells import Backlog, CellTally, Head, Pick
from laneway.store.detours import Detour, Strays
from laneway.store.figures import PastCall, RunFigures
from laneway.store.grants import Capacity, Demand, Grant
from laneway.store.heads import Heads
from laneway.store.keeping import Pruned
from laneway.store.news import News
from laneway.store.results import Result
from laneway.store.runs import Run, Sealed, Submitted
from laneway.store.sqlite import (
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
from laneway.store.sqlite.beside import Beside
from laneway.store.sqlite.connection import is_same_file, scalar, sqlite_errors
from laneway.store.sqlite.tallies import Tallies
from laneway.store.sqlite.tokens import Tokens
from laneway.store.sqlite.transaction import Transaction
from laneway.store.sqlite.views import Views
from laneway.store.sqlite.webhooks import Webhooks
from laneway.store.steering import Change, Extent, Pause, PauseKind, Selector, Waiting
from laneway.store.workers import Doing, Part, Reaped, WorkerInfo
from laneway.task import Attempt, Claimed, NewTask, Settlement, State, Task

T = TypeVar("T")
POLL_S = 0.01


class SQLiteStore(Beside, Tallies, Tokens, Views, Webhooks):
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
        return await self._writer.write(lambda tx: runs.open_run(tx, identity, info, max_cost, now, fresh, join))

    async def find_run(self, identity: str) -> Run | None:
        return self._read(lambda db: runs.find_run(db, identity))

    async def get_run(self, run_id: int) -> Run:
        return self._read(lambda db: runs.get_run(db, run_id))

    async def runs(self, limit: int = 50) -> list[Run]:
        return self._read(lambda db: runs.list_runs(db, limit))

    def submit(self, run: Run, tasks: Sequence[NewTask], now: float, *, held: bool = False) -> Awaitable[Submitted]:
        return self._writer.write(lambda tx: submitting.submit(tx, run, tasks, now, held))

    def owns(self, connection: object, path: str) -> bool:
        if not is_same_file(path, self.path):
            return False
        if isinstance(connection, apsw.Connection):
            return True
        raise UsageError(
            f"connection= is to Laneway's own store {self.path}, through another SQLite library than Laneway's;"
            " two of them on one file in one process void each other's locks and can destroy it",
            hint="close that connection; keep your own tables in a file of their own (any library), or use apsw here",
        )

    def submit_within(self, connection: object, identity: str, tasks: Sequence[NewTask], now: float) -> Submitted:
        assert isinstance(connection, apsw.Connection), "only a connection that the store owns"
        with sqlite_errors(self.path), connection:  # a savepoint inside the caller's transaction
            tx = Transaction(connection)
            run = runs.open_run(tx, identity, {"kind": "api"}, None, now, fresh=False, join=True)
            done = submitting.submit(tx, run, tasks, now, held=False)
            tx.flush()
        return done

    async def named(self, run: Run, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        return self._read(lambda db: submitting.named(db, run, keys))

    async def seal_run(self, run: Run, now: float) -> Sealed:
        sealed = await self._writer.write(lambda tx: runs.seal(tx, run, now))
        opened = 0
        if span := await self._read_long(lambda db: runs.held_range(db, run)):
            for low in range(span[0], span[1] + 1, runs.SEAL_CHUNK):
                high = min(low + runs.SEAL_CHUNK - 1, span[1])
                opened += await self._writer.write(partial(runs.open_held, run=run, low=low, high=high, now=now))
        return Sealed(opened, sealed.dropped, sealed.rewrite)

    async def abandon_run(self, run: Run) -> None:
        await self._writer.write(lambda tx: runs.abandon(tx, run))

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
        if run_id not in self._heads:
            self._heads[run_id] = Heads(run_id)
        return self._read(lambda _: self._heads[run_id].look(self._source, depth, deeper or {}, most))

    async def wake(self, now: float) -> float | None:
        next_at = self._read(lambda db: scalar(db, queue.NEXT_WAKE))
        if next_at is None or next_at > now:
            return None if next_at is None else float(next_at)
        await self._writer.write(lambda tx: queue.wake(tx, now))
        later = self._read(lambda db: scalar(db, queue.NEXT_WAKE))
        return None if later is None else float(later)

    def claim(
        self, worker: str, picks: Sequence[Pick], now: float, limits: Limits = NO_LIMITS
    ) -> Awaitable[list[Claimed]]:
        return self._read_claimed(self._writer.write(lambda tx: queue.claim(tx, worker, picks, now, limits)), now)

    async def _read_claimed(self, taking: Awaitable[list[queue.Taken]], now: float) -> list[Claimed]:
        return [claimed for one in await taking for claimed in self._claimed(one, now)]

    def _claimed(self, taken: queue.Taken, now: float) -> Iterator[Claimed]:
        cell, account = taken.cell, taken.pick.account
        for due_at, id_, fence, attempts, refusals, losses, key, input_tokens, output_tokens, begun_at in taken.tasks:
            _, submitted_at, deadline, spec, route, complaint, body, parent, tags, team = taken.payloads[id_]
            yield Claimed(
                id_,
                cell.run_id,
                cell.id,
                fence,
                attempts,
                refusals,
                losses,
                key,
                cell.model,
                cell.lane,
                cell.urgency,
                account,
                self._documents.route(route),
                self._documents.spec(spec),
                body,
                input_tokens,
                output_tokens,
                submitted_at,
                now,
                begun_at,
                deadline,
                complaint,
                due_at,
                parent,
                tuple(orjson.loads(tags)) if tags else (),
                team,
            )

    def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> Awaitable[list[bool]]:
        return self._writer.write(lambda tx: settling.settle(tx, worker, settlements, now))

    async def strays(self, cell_id: int, after: tuple[float, int] | None, limit: int) -> Strays:
        return self._read(lambda db: detours.strays(db, self._documents, cell_id, after, limit))

    async def divert(
        self, cell_id: int, task_ids: Sequence[int], model: str, reason: str, now: float
    ) -> tuple[int, list[int]]:
        return await self._writer.write(lambda tx: detours.divert(tx, cell_id, task_ids, model, reason, now))

    async def record_call(self, worker: str, attempt: Attempt, run_id: int, limits: Limits = NO_LIMITS) -> bool:
        return await self._writer.write(lambda tx: queue.record_call(tx, worker, attempt, run_id, limits))

    async def spending(self, now: float) -> dict[Budget, Spending]:
        return self._read(lambda db: spending.of_day(db, now))

    async def held_by_budget(self, run_id: int | None = None) -> dict[str, int]:
        return await self._read_long(lambda db: spending.waiting(db, run_id))

    async def release_held(self, limits: Limits, now: float) -> int:
        if not self._read(spending.any_held):
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
        return self._read(steering.pauses)

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
        with sqlite_errors(self.path):
            self._life.begin(worker)
        await self._writer.write(lambda tx: workers.join(tx, worker, lease, now))

    def heartbeat(self, worker: str, lease: float, now: float) -> bool:
        return self._writer.write_now(lambda tx: workers.heartbeat(tx, worker, lease, now))

    async def leave(self, worker: str, now: float) -> None:
        await self._writer.write(lambda tx: workers.bury(tx, worker, now, death=False))
        self._life.end(worker)

    async def reap(self, worker: str, now: float) -> Reaped:
        reaped = await self._writer.write(lambda tx: workers.reap(tx, worker, now, self._life.certainly_dead))
        for dead in reaped.workers:
            self._life.forget(dead)
        return reaped

    async def workers(self, now: float) -> list[WorkerInfo]:
        return self._read(reading.workers)

    async def doing(self) -> list[Doing]:
        return self._read(reading.doing)

    async def parts(self, now: float) -> list[Part]:
        return self._read(lambda db: reading.parts(db, now))

    async def renew_grants(
        self, worker: str, asks: Mapping[str, tuple[Capacity, Demand]], now: float, lease: float
    ) -> dict[str, Grant]:
        return await self._writer.write(lambda tx: workers.renew_grants(tx, worker, asks, now, lease))

    async def save_state(self, name: str, state: Mapping[str, Any], now: float) -> None:
        await self._writer.write(lambda tx: workers.save_state(tx, name, state, now))

    async def load_state(self, name: str) -> tuple[Mapping[str, Any], float] | None:
        return self._read(lambda db: reading.states(db, name, name)).get("")

    async def states(self, prefix: str) -> dict[str, tuple[Mapping[str, Any], float]]:
        return self._read(lambda db: reading.states(db, prefix, prefix + "\U0010ffff"))

    async def drop_states(self, prefix: str, before: float) -> int:
        return await self._writer.write(lambda tx: workers.drop_states(tx, prefix, before))

    # reading
    async def tally(self, run_id: int | None = None, *, aside: bool = False) -> list[CellTally]:
        return self._read(lambda db: reading.tally(db, run_id, aside=aside))

    async def backlog(self) -> Backlog:
        return self._read(reading.backlog)

    async def find_task(self, ref: str, run_id: int | None = None) -> Task:
        return self._read(lambda db: reading.find_task(db, self._documents, ref, run_id))

    async def get_tasks(self, ids: Sequence[int]) -> list[Task]:
        return self._read(lambda db: reading.get_tasks(db, self._documents, ids))

    async def attempts(self, task_id: int) -> list[Attempt]:
        return self._read(lambda db: reading.attempts(db, task_id))

    async def detours(self, run_id: int, task_id: int) -> list[Detour]:
        return self._read(lambda db: detours.of_task(db, run_id, task_id))

    async def diverted(self, run_id: int, since: float) -> dict[tuple[str, str], int]:
        return await self._read_long(lambda db: detours.counted(db, run_id, since))

    async def results_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        return await self._read_long(lambda db: reading.results_after(db, self._long_documents, run, cursor, limit))

    async def failed_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        return await self._read_long(
            lambda db: reading.results_after(db, self._long_documents, run, cursor, limit, failed=True)
        )

    async def ended_after(self, cursor: int, limit: int) -> list[tuple[int, int]]:
        return self._read(lambda db: reading.ended_after(db, cursor, limit))

    async def last_result(self) -> int:
        return self._read(lambda db: int(scalar(db, "SELECT value FROM sequence WHERE name = 'result'")))

    async def figures(self, run: Run, *, since: float | None = None) -> RunFigures:
        return await self._read_long(lambda db: reading.figures(db, self._long_documents, run, since))

    async def known(self, run: Run, keys: Sequence[str]) -> Mapping[tuple[str, bytes], State]:
        return await self._read_long(lambda db: past.known(db, run.id, keys))

    async def past_calls(self, model: str, limit: int) -> list[PastCall]:
        return await self._read_long(lambda db: past.calls(db, self._long_documents, model, limit))

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
        return await self._read_long(lambda _: pruning.scrub(self.path, shrink=shrink))

    @property
    def in_order(self) -> bool:
        return True

    @property
    def poll_s(self) -> float:
        return POLL_S

    def listen(self, kind: News, heard: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def time(self) -> float | None:
        return None

    async def changed(self) -> bool:
        version = self._read(lambda db: int(scalar(db, "PRAGMA data_version")))
        changed, self._data_version = version != self._data_version, version
        return changed

    async def check(self) -> list[str]:
        return await self._read_long(reading.check)
