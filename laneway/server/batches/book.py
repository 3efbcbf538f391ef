"""What batches there are, and how they stand. A batch is there when its run is sealed; what was asked is kept with
the run, and what happened to it later as a state beside it."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from laneway.errors import LanewayError
from laneway.intake.kind import Kind
from laneway.intake.shapes import BatchRows
from laneway.server.backpressure import Gate
from laneway.server.batches.taking_in import Intake
from laneway.server.caller import Caller
from laneway.server.envelopes import Dialect, Refusal, of_error
from laneway.server.wishes import Wishes
from laneway.store.steering import Selector
from laneway.task import State, Urgency, Wire

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.results import Result
    from laneway.store.runs import Run

PREFIX: Mapping[Dialect, str] = {Dialect.OPENAI: "batch_", Dialect.ANTHROPIC: "msgbatch_"}
GIVEN_UP_S = 86_400.0  # after which a batch that never came in whole is forgotten
MOST_RUNS = 10_000  # that are looked through for a list
ROWS = 500  # read at once
CANCELLED_AT_ONCE = 2_000
_LEFT = tuple(state for state in State if not state.ended)


@dataclass(frozen=True, slots=True)
class Batch:
    """``facts``: what its maker said of it. Times in seconds since 1970."""

    run: Run
    facts: Mapping[str, Any]
    counts: Counter[State]
    cancelling_at: float | None = None
    ended_at: float | None = None

    @property
    def id(self) -> str:
        return self.run.identity

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def ended(self) -> bool:
        return not any(self.counts[state] for state in _LEFT)

    @property
    def failed(self) -> int:
        """Requests without an answer."""
        return self.counts[State.FAILED] + self.counts[State.CANCELLED]


class Batches:
    def __init__(self, lw: Laneway, dialect: Dialect, gate: Gate) -> None:
        self._lw = lw
        self._gate = gate
        self._dialect = dialect
        self._keyed = asyncio.Lock()

    async def sweep(self) -> None:
        """Forget those that were broken off on their way in, long ago: nobody was told of them."""
        for run in await self._lw.store.runs(MOST_RUNS):
            if not run.sealed and self._is_own(run) and run.created_at < self._lw.clock.now() - GIVEN_UP_S:
                await self._lw.store.abandon_run(run)

    async def create(
        self,
        wire: Wire,
        lines: AsyncIterator[bytes],
        facts: Mapping[str, Any],
        wishes: Wishes,
        caller: Caller,
        name: str,
    ) -> Batch:
        """Durable, and at work, when this returns. The same key again is the same batch. Raises Refusal."""
        batch_id = self._new_id(wishes.key, caller)
        if wishes.key is None:
            return await self._create(batch_id, wire, lines, facts, wishes, caller, name)
        async with self._keyed:  # a client that lost its patience may come again while the first is on its way in
            known = await self._lw.store.find_run(batch_id)
            if known is not None and known.sealed:
                return await self.look(known)
            return await self._create(batch_id, wire, lines, facts, wishes, caller, name)

    async def _create(
        self,
        batch_id: str,
        wire: Wire,
        lines: AsyncIterator[bytes],
        facts: Mapping[str, Any],
        wishes: Wishes,
        caller: Caller,
        name: str,
    ) -> Batch:
        store = self._lw.store
        info = {
            "kind": Kind.BATCH.value,
            "input": name,
            "submitted": True,
            "dialect": self._dialect.value,
            "team": caller.team,
            "batch": dict(facts),
        }
        run = await store.open_run(batch_id, info=info, max_cost=None, now=self._lw.clock.now())
        try:
            await Intake(self._lw, self._gate, wire, wishes, caller, name, Urgency.RELAXED).take(run, lines)
            await store.seal_run(run, self._lw.clock.now())
        except LanewayError as error:
            await store.abandon_run(run)
            raise of_error(error) from error
        except BaseException:
            await store.abandon_run(run)
            raise
        self._lw.poke()
        return await self.look(await store.get_run(run.id))

    async def find(self, batch_id: str, caller: Caller) -> Batch:
        """Raises Refusal."""
        run = await self._lw.store.find_run(batch_id)
        if run is None or not run.sealed or not self._is_own(run) or not caller.may_see(run.info.get("team")):
            raise no_batch(batch_id)
        return await self.look(run)

    async def all_of(self, caller: Caller) -> list[Run]:
        """The newest first."""
        runs = await self._lw.store.runs(MOST_RUNS)
        return [run for run in runs if run.sealed and self._is_own(run) and caller.may_see(run.info.get("team"))]

    async def look(self, run: Run) -> Batch:
        """How it stands."""
        store, counts = self._lw.store, Counter[State]()
        for cell in await store.tally(run.id):
            counts.update(cell.counts)
        kept = await store.load_state(_state(run))
        later = dict(kept[0]) if kept else {}
        if "deleted_at" in later:
            raise no_batch(run.identity)
        batch = Batch(run, run.info["batch"], counts, later.get("cancelling_at"), later.get("ended_at"))
        if not batch.ended or batch.ended_at is not None:
            return batch
        now = self._lw.clock.now()
        ended_at = (await store.figures(run)).last_settle or now
        await store.save_state(_state(run), {**later, "ended_at": ended_at}, now)
        return Batch(run, run.info["batch"], counts, batch.cancelling_at, ended_at)

    async def cancel(self, batch: Batch) -> Batch:
        """What runs goes on to its end, nothing new begins. Raises Refusal when it has ended."""
        if batch.ended:
            raise Refusal(409, f"the batch {batch.id} has ended", code="batch_ended")
        store, now = self._lw.store, self._lw.clock.now()
        if batch.cancelling_at is None:
            await store.save_state(_state(batch.run), {"cancelling_at": now}, now)
        ids = await store.select(Selector(run_id=batch.run.id, states=_LEFT))
        for start in range(0, len(ids), CANCELLED_AT_ONCE):
            await store.cancel(ids[start : start + CANCELLED_AT_ONCE], now)
        return await self.look(batch.run)

    async def delete(self, batch: Batch) -> None:
        """Take its content away; its books stay. Raises Refusal unless it has ended."""
        if not batch.ended:
            raise Refusal(400, f"the batch {batch.id} has not ended; cancel it first")
        store, now = self._lw.store, self._lw.clock.now()
        await store.save_state(_state(batch.run), {"deleted_at": now, "ended_at": batch.ended_at}, now)
        cursor: int | None = 0
        while cursor is not None:
            cursor = (await store.prune(now, run_id=batch.run.id, after=cursor)).cursor

    async def check_results(self, batch: Batch) -> None:
        """Raises Refusal when it has not ended, or answers of it are not there any more."""
        if not batch.ended:
            raise Refusal(404, f"the batch {batch.id} has not ended")
        if await self._lw.store.pruned(batch.run):
            raise Refusal(410, f"answers of the batch {batch.id} were pruned", code="pruned")

    async def rows(self, batch: Batch, states: frozenset[State]) -> AsyncIterator[bytes]:
        """A JSON line for each request that ended so, in the order in which they ended, some hundred at a time."""
        shape, cursor = BatchRows(), 0
        while results := await self._read(batch.run, cursor, states):
            cursor = results[-1].seq
            yield b"".join(shape.row(result) for result in results if result.state in states)

    async def _read(self, run: Run, cursor: int, states: frozenset[State]) -> list[Result]:
        read = self._lw.store.results_after if State.SUCCEEDED in states else self._lw.store.failed_after
        return await read(run, cursor, ROWS)

    def _is_own(self, run: Run) -> bool:
        return run.info.get("dialect") == self._dialect and "batch" in run.info

    def _new_id(self, key: str | None, caller: Caller) -> str:
        if key is None:
            return PREFIX[self._dialect] + secrets.token_hex(12)
        said = f"{caller.team or ''}\0{key}"
        return PREFIX[self._dialect] + blake2b(said.encode(), digest_size=12).hexdigest()


def no_batch(batch_id: str) -> Refusal:
    return Refusal(404, f"there is no batch {batch_id!r}", param="batch_id")


def _state(run: Run) -> str:
    return f"batch:{run.identity}"
