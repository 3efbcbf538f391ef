"""The main job: a file of tasks through triage, the queue and the models to a results file."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from laneway.app.engine import Engine, engine
from laneway.app.runs.part import Helpers, Helping, shares
from laneway.app.runs.saving import saving_of
from laneway.app.runs.summary import Summary
from laneway.app.runs.taking_in import OnBadInput, TakingIn
from laneway.app.steering import pauses_of
from laneway.dispatch.dispatcher import MAX_IN_FLIGHT
from laneway.dispatch.ending import Scope, Stop, StopReason
from laneway.errors import Interrupted
from laneway.intake.options import ReadOptions
from laneway.intake.reading import Reading, open_reading
from laneway.intake.results import ResultsWriter, check_out, default_out, errors_file, run_identity
from laneway.intake.shapes import shape_for
from laneway.store.figures import RunFigures
from laneway.store.interface import Store
from laneway.store.runs import Run
from laneway.task import State, is_flow

if TYPE_CHECKING:
    from laneway.app.flows.paths import Paths
    from laneway.app.laneway import Laneway
    from laneway.providers.catalog import Catalog

GIVEN_UP = (StopReason.BUDGET, StopReason.PRICE, StopReason.ACCOUNT, StopReason.LIMIT, StopReason.UNREACHABLE)
PUMP_EVERY_S = 0.5  # how often finished results are written to OUT

log = logging.getLogger(__name__)


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
    processes: int = 1  # that work on it, this one among them


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

    def __init__(
        self,
        lw: Laneway,
        options: BatchOptions,
        *,
        process_started: float,
        meanwhile: Callable[[], object] = lambda: None,
        helpers: Helpers | None = None,
    ) -> None:
        """``meanwhile`` is called on another thread while the first calls are on their way, if there are any.
        ``helpers`` starts the further ones of ``options.processes``."""
        self._lw = lw
        self._options = options
        self._process_started = process_started
        self._meanwhile = meanwhile
        self._helpers = helpers
        self._helping: Helping | None = None
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
        if helping := self._helping:
            (helping.drain if self._interrupts == 1 else helping.abort)()
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
        reading, out = open_input(lw, options)
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
            if stop.reason in GIVEN_UP:
                stop = await self._with_kept(run, stop)
            self.progress.phase = "writing"
            await writer.finish()
        if stop.reason is StopReason.BUDGET and stop.until is None:
            await lw.store.end_budget(run.id)
        if lw.config.triage.classifier is not None:
            await lw.store.drop_questions(run.id)
        return await self._summary(run, out, intake, stop, bound, started, catalog)

    async def _with_kept(self, run: Run, stop: Stop) -> Stop:
        """Weak answers whose stronger model will not be asked now are the results. They may have been all that was
        left."""
        store, found = self._lw.store, 0
        while ended := await store.settle_kept(run.id, self._lw.clock.now()):
            found += ended
        if not found:
            return stop
        log.warning("%d answers that looked weak are the results: no stronger model could be asked", found)
        left = any(not state.ended for state, n in (await self._counts(run)).items() if n)
        return stop if left else Stop(StopReason.DONE)

    async def _submit(self, reading: Reading, out: Path, catalog: Catalog) -> tuple[Run, TakingIn]:
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
            sealed = await store.seal_run(run, self._lw.clock.now())
        except BaseException:
            await store.abandon_run(run)
            raise
        fields = {"run": run.id, "tasks": sealed.opened, "dropped": sealed.dropped}
        log.info("the input is complete", extra={"fields": fields})
        return await store.get_run(run.id), intake

    async def _take_in(self, run: Run, reading: Reading, catalog: Catalog) -> TakingIn:
        """Validate, route and store every task, held back. Nothing is paid yet."""
        options = self._options
        intake = TakingIn(self._lw, reading, catalog, anew=self._options.fresh)
        for chunk in intake.chunks():
            await intake.submit(run, chunk, self._lw.clock.now())
            self.progress.read = intake.taken
            await asyncio.sleep(0)
        if options.on_bad_input is OnBadInput.SKIP:
            intake.keep_faults()
        if self._interrupts:
            raise Interrupted("interrupted while reading", hint="nothing was sent; run the same command again")
        intake.finish(options.on_bad_input)
        if options.max_cost is not None:
            intake.check_prices()
        intake.check_day_budgets()
        return intake

    # working ------------------------------------------------------------------------------------------------------
    async def _work(self, run: Run, writer: ResultsWriter, catalog: Catalog) -> tuple[Stop, Mapping[str, float]]:
        lw = self._lw
        slots, *further = shares(self._options.processes, self._options.concurrency, MAX_IN_FLIGHT)
        scope = Scope(run.id, budget=self._options.max_cost is not None, shared=bool(further))
        async with (
            engine(lw, catalog=catalog, scope=scope, max_in_flight=slots) as running,
            self._helped(run, running, further),
        ):
            self.progress.engine = running
            self.progress.phase = "running"
            self.progress.started_at = lw.clock.now()
            if self._interrupts:
                running.dispatcher.drain()
            ended = asyncio.Event()
            pump = asyncio.create_task(pump_until(ended, writer))
            aside = asyncio.create_task(_aside(running, self._meanwhile))
            try:
                stop = await running.dispatcher.run()
            finally:
                ended.set()  # not cancelled: what it writes, it would write again
                aside.cancel()
                await asyncio.wait([pump, aside])
            if pump.done() and not pump.cancelled() and (fault := pump.exception()):
                raise fault
            return stop, running.dispatcher.watch.total(lw.clock.now())

    @contextlib.asynccontextmanager
    async def _helped(self, run: Run, running: Engine, further: Sequence[int]) -> AsyncIterator[None]:
        """By so many further processes, until the block ends and they have finished what they had in flight."""
        if not further or self._helpers is None:
            yield
            return
        self._helping = helping = self._helpers(run.id, further, running.worker.take_over)
        async with helping.beside():
            if self._interrupts:
                helping.drain()
            yield

    # the account --------------------------------------------------------------------------------------------------
    async def _summary(
        self,
        run: Run,
        out: Path,
        intake: TakingIn,
        stop: Stop,
        bound: Mapping[str, float],
        started: float,
        catalog: Catalog,
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
            bad_first=intake.faults.first(),
            bad_file=str(intake.kept) if intake.kept else None,
            stop=stop,
            seconds=_span(started, figures),
            process_started=self._process_started,
            figures=figures,
            total=total,
            bound=bound,
            paused=tuple(str(pause) for pause in await pauses_of(self._lw, run.id)),
            diverted=await store.diverted(run.id, started),
            asked=await store.asked(run.id, started),
            from_cache=intake.from_cache,
            paths=await self._paths(run),
            saving=await saving_of(self._lw.config, store, run, total, catalog),
        )

    async def _paths(self, run: Run) -> Paths | None:
        """Where the time of the run's flows went, if it has any."""
        calls = self._options.read.calls
        if calls is None or not any(is_flow(cell.model) for cell in await self._lw.store.tally(run.id)):
            return None
        from laneway.app.flows.paths import paths_of

        return await paths_of(self._lw.store, run.id)

    async def _counts(self, run: Run) -> Counter[State]:
        counts: Counter[State] = Counter()
        for cell in await self._lw.store.tally(run.id):
            counts.update(cell.counts)
        return counts


def open_input(lw: Laneway, options: BatchOptions) -> tuple[Reading, Path]:
    """The input, and where its results go. Raises InputError when it cannot be read."""
    out = (options.out or default_out(options.input, options.read.also)).absolute()
    read = dataclasses.replace(options.read, passed_over=(*options.read.passed_over, out, errors_file(out)))
    return open_reading(options.input, lw.config, read), out


def _ended(counts: Mapping[State, int]) -> int:
    return sum(n for state, n in counts.items() if state.ended)


async def pump_until(ended: asyncio.Event, writer: ResultsWriter, every: float = PUMP_EVERY_S) -> None:
    """Write finished results every few moments. It ends with what it is writing, and leaves the rest to ``finish``."""
    while True:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), every)
        if ended.is_set():
            return
        await writer.pump()


async def _aside(running: Engine, work: Callable[[], object]) -> None:
    await running.prices.known()  # calls are on their way by then
    await asyncio.to_thread(work)


def _span(started: float, figures: RunFigures) -> float:
    return max(0.0, (figures.last_settle or started) - started)
