"""The main job: a file of tasks through triage, the queue and the models to a results file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from laneway.app.engine import Engine, engine
from laneway.app.summary import Summary
from laneway.dispatch.dispatcher import MAX_IN_FLIGHT, Scope, Stop, StopReason
from laneway.errors import BudgetError, ConflictError, InputError, Interrupted
from laneway.intake.draft import BadLine, Draft
from laneway.intake.faults import Faults
from laneway.intake.options import ReadOptions
from laneway.intake.reading import Reading, open_reading
from laneway.intake.results import ResultsWriter, check_out, default_out, run_identity
from laneway.intake.shapes import shape_for
from laneway.store.interface import Run, RunFigures, Store
from laneway.task import NewTask, State
from laneway.triage.patient import Patient

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.providers.catalog import Catalog

CHUNK = 500  # tasks in one submission to the store
PUMP_EVERY_S = 0.5  # how often finished results are written to OUT

log = logging.getLogger(__name__)


class OnBadInput(StrEnum):
    STOP = "stop"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What ``laneway run`` was asked to do."""

    input: str
    out: Path | None = None
    read: ReadOptions = ReadOptions()
    concurrency: int | None = None
    max_cost: float | None = None  # USD
    fresh: bool = False
    on_bad_input: OnBadInput = OnBadInput.STOP


@dataclass(slots=True)
class Progress:
    """What a display may look at while the run goes on."""

    phase: str = "reading"  # reading, running, writing
    read: int = 0
    engine: Engine | None = None
    run: Run | None = None
    started_at: float = 0.0
    ended_before: int = 0  # tasks of the run that had ended before this invocation


class Batch:
    """One invocation of ``laneway run``. ``interrupt()`` drains it; a second call breaks off."""

    def __init__(self, lw: Laneway, options: BatchOptions, *, process_started: float) -> None:
        self._lw = lw
        self._options = options
        self._process_started = process_started
        self._interrupts = 0
        self.progress = Progress()

    def interrupt(self) -> int:
        """First: start nothing more and finish what is in flight. Second: break that off, too. Returns which it was."""
        self._interrupts += 1
        if running := self.progress.engine:
            if self._interrupts == 1:
                running.dispatcher.drain(Stop(StopReason.INTERRUPTED, "interrupted"))
            else:
                running.dispatcher.abort()
        return self._interrupts

    @property
    def store(self) -> Store:
        return self._lw.store

    def now(self) -> float:
        return self._lw.clock.now()

    async def run(self) -> Summary:
        """Everything from input to summary. Raises InputError, ConfigError, AuthError, BudgetError, StoreError, all
        before anything is paid, except a StoreError in mid-run, which ends as a summary that says so where it can."""
        lw, options = self._lw, self._options
        out = (options.out or default_out(options.input)).absolute()
        reading = open_reading(options.input, lw.config, options.read)
        known = await lw.store.find_run(run_identity(out, lw.config))
        check_out(out, known=known is not None, fresh=options.fresh)
        catalog = lw.new_catalog(options.concurrency)
        shape = shape_for(out, reading.kind, lambda: reading.columns)
        started = lw.clock.now()
        with contextlib.closing(reading), ResultsWriter(lw.store, out, shape) as writer:
            run, intake = await self._submit(reading, out, catalog)
            await writer.begin(run)
            self.progress.ended_before = _ended(await self._counts(run))
            stop, bound = await self._work(run, writer, catalog)
            self.progress.phase = "writing"
            await writer.finish()
        if stop.reason is StopReason.BUDGET:
            await lw.store.end_budget(run.id)
        return await self._summary(run, out, intake, stop, bound, started)

    async def _submit(self, reading: Reading, out: Path, catalog: Catalog) -> tuple[Run, _Intake]:
        """A sealed submission of everything that was read; on any fault none of it remains."""
        store, options = self._lw.store, self._options
        run = await store.open_run(
            run_identity(out, self._lw.config),
            info={"kind": reading.kind.value, "input": options.input, "out": str(out)},
            max_cost=options.max_cost,
            now=self._lw.clock.now(),
            fresh=options.fresh,
        )
        self.progress.run = run
        try:
            intake = await self._take_in(run, reading, catalog)
        except BaseException:
            await store.abandon_run(run)
            raise
        sealed = await store.seal_run(run, self._lw.clock.now())
        fields = {"run": run.id, "tasks": sealed.opened, "dropped": sealed.dropped}
        log.info("the input is complete", extra={"fields": fields})
        return await store.get_run(run.id), intake

    # taking in ----------------------------------------------------------------------------------------------------
    async def _take_in(self, run: Run, reading: Reading, catalog: Catalog) -> _Intake:
        """Validate, route and store every task, held back. Nothing is paid yet."""
        intake = _Intake(Faults(reading.name))
        for chunk in _chunks(self._drafts(reading, intake)):
            tasks = self._route(chunk, intake, catalog)
            done = await self._lw.store.submit(run, [task for _, task in tasks], self._lw.clock.now(), held=True)
            for position in done.conflicts:
                draft = tasks[position][0]
                intake.conflicts += 1
                intake.faults.add(BadLine(draft.line, f"the key {draft.key!r} came before with another body", b""))
            intake.deduplicated += done.duplicates
            intake.taken += len(tasks) - len(done.conflicts)
            self.progress.read = intake.taken
            await asyncio.sleep(0)
        if intake.faults.count and self._options.on_bad_input is OnBadInput.STOP:
            raise self._bad_input(intake)
        if intake.faults.count:
            intake.faults.write(reading.side_file())
        if not intake.taken:
            raise InputError(f"{reading.name} holds no tasks", hint="one task a line; see the README for the formats")
        for rule, why in self._lw.triage.unused():
            log.warning("%s never matched: %s", rule, why)
        if self._interrupts:
            raise Interrupted("interrupted while reading", hint="nothing was sent; run the same command again")
        catalog.check(intake.models)
        self._check_prices(intake, catalog)
        return intake

    def _drafts(self, reading: Reading, intake: _Intake) -> Iterator[Draft]:
        for item in reading:
            if isinstance(item, BadLine):
                intake.faults.add(item)
            else:
                yield item

    def _route(self, drafts: list[Draft], intake: _Intake, catalog: Catalog) -> list[tuple[Draft, NewTask]]:
        routed = []
        now = self._lw.clock.now()
        for draft in drafts:
            patient = Patient(
                type=draft.spec.type,
                text=draft.text,
                input_tokens=draft.input_tokens,
                pins=draft.pins,
                tags=draft.tags,
                fields=draft.fields,
                output_tokens=draft.output_tokens,
                key=draft.key,
                refused_by=draft.refused_by,
                attachments=draft.attachments,
            )
            try:
                route = self._lw.triage.assess(patient)
                for name in (route.model, *route.fallbacks):
                    if name not in intake.models:
                        catalog.model(name)
                        intake.models.add(name)
            except InputError as error:
                intake.faults.add(BadLine(draft.line, error.message, b""))
                continue
            due_at = now + self._lw.config.target_wait(route.urgency)
            task = NewTask(
                body=draft.body,
                spec=draft.spec,
                route=route,
                due_at=due_at if draft.deadline is None else min(due_at, draft.deadline),
                key=draft.key,
                input_tokens=draft.input_tokens,
                output_tokens=draft.output_tokens,
                record=draft.record,
                deadline=draft.deadline,
                tags=draft.tags,
            )
            routed.append((draft, task))
        return routed

    def _bad_input(self, intake: _Intake) -> InputError:
        if intake.conflicts and intake.conflicts == intake.faults.count:
            return ConflictError(intake.faults.report(), hint="give every task a key of its own")
        return InputError(intake.faults.report(), hint="mend these lines, or go on without them: --on-bad-input skip")

    def _check_prices(self, intake: _Intake, catalog: Catalog) -> None:
        if self._options.max_cost is None:
            return
        catalog.load_prices()
        unpriced = [name for name in sorted(intake.models) if catalog.model(name).input_price is None]
        if unpriced:
            raise BudgetError(
                f"--max-cost needs a price for every model; there is none for {', '.join(unpriced)}",
                hint="set input_price and output_price (USD per million tokens) under [models.…] in laneway.toml",
            )

    # working ------------------------------------------------------------------------------------------------------
    async def _work(self, run: Run, writer: ResultsWriter, catalog: Catalog) -> tuple[Stop, Mapping[str, float]]:
        lw = self._lw
        slots = self._options.concurrency or MAX_IN_FLIGHT
        scope = Scope(run.id, budget=self._options.max_cost is not None)
        async with engine(lw, catalog=catalog, scope=scope, max_in_flight=slots) as running:
            self.progress.engine = running
            self.progress.phase = "running"
            self.progress.started_at = lw.clock.now()
            if self._interrupts:
                running.dispatcher.drain()
            pump = asyncio.create_task(_pump(writer))
            try:
                stop = await running.dispatcher.run()
            finally:
                pump.cancel()
                await asyncio.wait([pump])
            if pump.done() and not pump.cancelled() and (fault := pump.exception()):
                raise fault
            return stop, running.dispatcher.watch.total(lw.clock.now())

    # the account --------------------------------------------------------------------------------------------------
    async def _summary(
        self, run: Run, out: Path, intake: _Intake, stop: Stop, bound: Mapping[str, float], started: float
    ) -> Summary:
        store = self._lw.store
        figures = await store.figures(run, since=started)
        total = figures if run.generation == 1 else await store.figures(run)
        return Summary(
            run_id=run.id,
            out=str(out),
            counts=await self._counts(run),
            deduplicated=intake.deduplicated,
            bad_input=intake.faults.count,
            stop=stop,
            seconds=_span(started, figures),
            process_started=self._process_started,
            figures=figures,
            total=total,
            bound=bound,
        )

    async def _counts(self, run: Run) -> Counter[State]:
        counts: Counter[State] = Counter()
        for cell in await self._lw.store.tally(run.id):
            counts.update(cell.counts)
        return counts


def _ended(counts: Mapping[State, int]) -> int:
    return sum(n for state, n in counts.items() if state.ended)


class _Intake:
    """What reading the input came to."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.taken = self.deduplicated = self.conflicts = 0
        self.models: set[str] = set()


def _chunks(drafts: Iterator[Draft]) -> Iterator[list[Draft]]:
    chunk: list[Draft] = []
    for draft in drafts:
        chunk.append(draft)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


async def _pump(writer: ResultsWriter) -> None:
    while True:
        await asyncio.sleep(PUMP_EVERY_S)
        await writer.pump()


def _span(started: float, figures: RunFigures) -> float:
    return max(0.0, (figures.last_settle or started) - started)
