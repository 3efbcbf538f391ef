"""The same sample of tasks on two models, as a run of its own, and what comes of comparing the answers.

Which tasks are drawn depends on seed and key alone, and a larger sample holds a smaller one: whatever was paid once is
kept. Keys begin with ``pilot:``, so that nobody finds these tasks who looks for his own, and they wait behind all other
work.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laneway.app.engine import engine
from laneway.app.pilot import comparing
from laneway.app.pilot.advice import Pair
from laneway.app.pilot.report import LONG, Compared, Report, write_table
from laneway.app.routing import Routing
from laneway.app.runs.batch import BatchOptions
from laneway.app.runs.plan import Planner
from laneway.dispatch.ending import Scope, Stop, StopReason
from laneway.errors import BudgetError, InputError, Interrupted, LimitError, NotFoundError, UsageError
from laneway.intake.draft import BadLine, Draft
from laneway.intake.options import ReadOptions
from laneway.intake.places import stem_of
from laneway.intake.reading import open_reading
from laneway.planning.demand import Demand
from laneway.planning.estimate import Estimate, estimate
from laneway.store.results import Result
from laneway.store.runs import Run, Submitted
from laneway.task import NewTask, Route, State, Urgency, Wire
from laneway.triage.patient import Pins

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.dispatch.dispatcher import Dispatcher

FEWEST, MOST = 30, 1000  # tasks of a sample
LANE = "pilot"
PAGE = 500
JUDGED_TOKENS = 250, 20  # of a judge's question beside the task and its answers, and of a verdict


@dataclass(frozen=True, slots=True)
class PilotOptions:
    input: str
    read: ReadOptions = ReadOptions()
    models: tuple[str, str] | None = None  # cheap, strong; None: the config's cheapest and dearest
    sample: int = 50
    seed: int = 0
    scorer: str | None = None  # module:function
    judge: str | None = None  # a model
    reference: str | None = None  # a column with the right answer
    floor: float = 0.98
    max_cost: float | None = None  # USD
    fresh: bool = False
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """What it will cost, before anything is paid."""

    tasks: int
    calls: int  # still to be made, those of the judge among them
    done: int  # of an earlier try: paid already
    estimate: Estimate

    @property
    def most(self) -> float | None:
        return None if self.estimate.cost is None else self.estimate.cost.high


@dataclass(slots=True)
class _Sample:
    drafts: list[Draft] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class Pilot:
    """``prepare`` once, then ``carry_out``. ``interrupt()`` drains."""

    def __init__(self, lw: Laneway, options: PilotOptions) -> None:
        self._lw = lw
        self._options = options
        self._catalog = lw.new_catalog()
        self._catalog.load_prices()
        self.models = options.models or self._by_price()
        self._sample = _Sample()
        self._tasks: list[NewTask] = []
        self._running: Dispatcher | None = None
        self._scorer = None if options.scorer is None else comparing.scorer_of(options.scorer, lw.config.folder)
        named = [*self.models, *([options.judge] if options.judge else [])]
        if len(set(self.models)) < 2:
            raise UsageError("a pilot compares two models", hint="--models cheap,strong")
        if options.scorer and options.judge:
            raise UsageError("a scorer or a judge, not both", hint="leave --scorer or --judge away")
        self._catalog.check(named)

    def _by_price(self) -> tuple[str, str]:
        priced = []
        for name in self._lw.config.models:
            model = self._catalog.model(name)
            if model.input_price is not None and model.output_price is not None:
                priced.append((model.input_price + model.output_price, name))
        if len(priced) < 2:
            raise UsageError("which two models?", hint="--models cheap,strong: names under [models] of laneway.toml")
        return min(priced)[1], max(priced)[1]

    @property
    def _identity(self) -> str:
        named = self._options.input if self._options.input == "-" else str(Path(self._options.input).resolve())
        return f"pilot of {named} ({self._lw.config.folder.resolve()})"

    # before anything is paid ------------------------------------------------------------------------------------------
    async def prepare(self) -> Budget:
        """Draw the sample, and say what it will cost. Raises InputError, and BudgetError beyond ``max_cost``."""
        options, store = self._options, self._lw.store
        self._draw()
        run = None if options.fresh else await store.find_run(self._identity)
        known = await store.known(run, [task.key or "" for task in self._tasks]) if run else {}
        left = [task for task in self._tasks if known.get((task.key or "", task.hash)) is not State.SUCCEEDED]
        demand = Demand()
        for task in (*left, *self._questions_expected()):
            demand.add(task)
        planner = Planner(self._lw, BatchOptions(input=options.input))
        names = {way.model for way in demand.ways}
        setting = await planner.setting(names, self._catalog, store)
        found = estimate(demand.ways, setting, await planner.history(demand, store))
        budget = Budget(len(self._sample.drafts), demand.tasks, len(self._tasks) - len(left), found)
        self._check(budget)
        return budget

    def _check(self, budget: Budget) -> None:
        allowed = self._options.max_cost
        if allowed is None or not budget.calls:
            return
        if budget.most is None:
            raise BudgetError(
                f"--max-cost needs prices, and there is none for {', '.join(budget.estimate.unpriced)}",
                hint="give input_price and output_price under its [models.NAME]",
            )
        if budget.most > allowed:
            raise BudgetError(
                f"{budget.calls:,} calls may cost up to ${budget.most:,.4f}, and --max-cost is ${allowed:,.4f}",
                hint=f"raise it, or give a smaller --sample (at least {FEWEST})",
            )

    def _draw(self) -> None:
        options, sample = self._options, self._sample
        drawn: list[tuple[int, int, Draft]] = []  # the largest lot first
        with contextlib.closing(open_reading(options.input, self._lw.config, options.read)) as reading:
            for number, draft in enumerate(reading):
                if isinstance(draft, BadLine):
                    sample.left_out["could not be read"] += 1
                    continue
                if draft.spec.wire is Wire.EMBEDDINGS:
                    raise InputError("embeddings are not compared", hint="a pilot is for tasks that are answered")
                lot = int.from_bytes(hashlib.blake2b(f"{options.seed}|{draft.key}".encode(), digest_size=8).digest())
                entry = (-lot, number, draft)
                if len(drawn) < options.sample:
                    heapq.heappush(drawn, entry)
                else:
                    heapq.heappushpop(drawn, entry)
        routing, now = Routing(self._lw, self._catalog, anew=True), self._lw.clock.now()
        for _, _, draft in sorted(drawn, key=lambda entry: entry[1]):
            try:
                pair = [self._pinned(routing, draft, model, now) for model in self.models]
            except InputError as error:
                sample.left_out[error.message] += 1
                continue
            sample.drafts.append(draft)
            self._tasks += pair
        if not sample.drafts:
            raise InputError("there is nothing that both models could be asked", hint="; ".join(sample.left_out))

    def _pinned(self, routing: Routing, draft: Draft, model: str, now: float) -> NewTask:
        pins = Pins(lane=LANE, urgency=Urgency.RELAXED, model=model, by="laneway triage pilot")
        return routing.route(dataclasses.replace(draft, pins=pins, key=_key(model, draft.key)), now).task

    def _questions_expected(self) -> list[NewTask]:
        """As many as the judge could be asked."""
        if self._options.judge is None:
            return []
        asked, answered = JUDGED_TOKENS
        return [
            self._question(draft, b"{}", draft.input_tokens + 2 * draft.output_tokens + asked, answered)
            for draft in self._sample.drafts
        ]

    def _question(self, draft: Draft, body: bytes, input_tokens: int, output_tokens: int) -> NewTask:
        assert self._options.judge is not None, "asked only where there is a judge"
        route = Route(LANE, Urgency.RELAXED, self._options.judge, reasons={"model": "the judge of a pilot"})
        now = self._lw.clock.now()
        return NewTask(
            body=body,
            spec=comparing.judge_spec(),
            route=route,
            due_at=now,
            key=_key("judge", draft.key),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )

    # running ------------------------------------------------------------------------------------------------------
    async def carry_out(self) -> Report:
        """Raises LimitError, Interrupted where it has to stop; the same command goes on."""
        options = self._options
        run = await self._run(self._identity, self._tasks, options.max_cost)
        results = await self._results(run)
        values = comparing.Values()
        gone: Counter[str] = Counter(self._sample.left_out)
        both: list[tuple[Draft, Result, Result]] = []
        for draft in self._sample.drafts:
            pair = [results.get(_key(model, draft.key)) for model in self.models]
            cheap, strong = pair
            if cheap is None or strong is None or not (comparing.counts(cheap) and comparing.counts(strong)):
                gone["failed for reasons that are not the model's"] += 1
                continue
            both.append((draft, cheap, strong))
        judged, judge_cost = await self._judge(both, values, run)
        compared = [one for entry in both if (one := self._compare(entry, values, judged, gone)) is not None]
        report = Report(
            cheap=self.models[0],
            strong=self.models[1],
            compared=compared,
            asked=len(self._sample.drafts) + sum(self._sample.left_out.values()),
            left_out=gone,
            by=self._by(),
            loose=self._loose(compared),
            floor=options.floor,
            cost=_sum([*(result.cost for result in results.values()), *([] if judged is None else [judge_cost])]),
            judge_cost=judge_cost if judged is not None else None,
            judged=len(judged or {}),
            table=self._table(),
        )
        await asyncio.to_thread(write_table, report.table, report)
        return report

    def interrupt(self) -> None:
        if self._running is not None:
            self._running.drain(Stop(StopReason.INTERRUPTED, "interrupted"))

    async def _run(self, identity: str, tasks: Sequence[NewTask], max_cost: float | None) -> Run:
        """A durable run of these tasks, to its end."""
        store, now = self._lw.store, self._lw.clock.now()
        info = {"kind": "pilot", "input": self._options.input}
        run = await store.open_run(identity, info=info, max_cost=max_cost, now=now, fresh=self._options.fresh)
        try:
            for at in range(0, len(tasks), PAGE):
                _check_keys(await store.submit(run, tasks[at : at + PAGE], now, held=True))
            await store.seal_run(run, now)
        except BaseException:
            await store.abandon_run(run)
            raise
        scope = Scope(run.id, budget=max_cost is not None)
        async with engine(self._lw, catalog=self._catalog, scope=scope) as running:
            self._running = running.dispatcher
            stop = await running.dispatcher.run()
            self._running = None
        if stop.reason is StopReason.BUDGET and stop.until is None:
            await store.end_budget(run.id)
        if stop.reason is StopReason.INTERRUPTED:
            raise Interrupted("interrupted", hint="the same command goes on; what was answered is kept")
        if stop.reason is not StopReason.DONE:
            raise LimitError(stop.message, hint="the same command goes on; what was answered is kept")
        return await store.get_run(run.id)

    async def _results(self, run: Run) -> dict[str, Result]:
        found: dict[str, Result] = {}
        cursor = 0
        while page := await self._lw.store.results_after(run, cursor, PAGE):
            found.update((result.key or "", result) for result in page)
            cursor = page[-1].seq
        if any(result.pruned for result in found.values()):
            raise NotFoundError("answers of this pilot were pruned from the store", hint="--fresh asks again")
        return found

    # comparing ----------------------------------------------------------------------------------------------------
    async def _judge(
        self, both: Sequence[tuple[Draft, Result, Result]], values: comparing.Values, run: Run
    ) -> tuple[dict[str, Result] | None, float | None]:
        """Verdicts by key on answers that are not alike, and what they cost; None without a judge."""
        options = self._options
        if options.judge is None:
            return None, None
        questions = []
        for draft, cheap, strong in both:
            said = values.of(cheap), values.of(strong)
            if None in said or comparing.alike(*said):
                continue
            order = comparing.swapped(options.seed, draft.key)
            body = comparing.judge_body(comparing.task_text(draft), *said, strong_first=order)
            questions.append(self._question(draft, body, len(body) // 4, JUDGED_TOKENS[1]))
        if not questions:
            return {}, 0.0
        left = None if options.max_cost is None else max(0.0, options.max_cost - run.budget_spent)
        judging = await self._run(f"judge {options.judge} in {self._identity}", questions, left)
        results = await self._results(judging)
        return results, _sum([result.cost for result in results.values()])

    def _compare(
        self,
        entry: tuple[Draft, Result, Result],
        values: comparing.Values,
        judged: Mapping[str, Result] | None,
        gone: Counter[str],
    ) -> Compared | None:
        draft, *results = entry
        said = [values.of(result) for result in results]
        same = None not in said and comparing.alike(*said)
        right = self._right(draft)
        if judged is not None and None not in said and not same:
            result = judged.get(_key("judge", draft.key))
            order = comparing.swapped(self._options.seed, draft.key)
            found = None if result is None else comparing.verdict(values.of(result), strong_first=order)
            if found is None:
                gone["the judge did not say"] += 1
                return None
            quality = found
        else:
            quality = self._quality(draft, said[0], said[1], right, same=same)
        pair = Pair(draft.key, draft.spec.type, *quality, results[0].cost, results[1].cost, same)
        answers = {
            model: "" if value is None else comparing.text_of(value)
            for model, value in zip(self.models, said, strict=True)
        }
        return Compared(pair, draft.text, answers)

    def _quality(self, draft: Draft, cheap: Any, strong: Any, right: Any, *, same: bool) -> tuple[float, float]:
        """Of both; an answer that did not pass its type's checks to the end is worth nothing."""
        if right is not None or self._scorer is not None:
            return self._score(draft, cheap, right, strong), self._score(draft, strong, right, strong)
        if strong is None:
            return (0.0 if cheap is None else 1.0), 0.0
        return float(same), 1.0

    def _score(self, draft: Draft, value: Any, right: Any, strong: Any) -> float:
        if value is None:
            return 0.0
        if self._scorer is not None:
            return self._scorer(value, strong if right is None else right, draft.fields)
        return float(comparing.matches(value, right))

    def _right(self, draft: Draft) -> Any:
        """The right answer, where the record has one."""
        if self._options.judge is not None:
            return None
        names = (self._options.reference,) if self._options.reference else comparing.REFERENCES
        found = next((draft.fields[name] for name in names if draft.fields.get(name) not in (None, "")), None)
        if found is None and self._options.reference:
            raise InputError(
                f"{draft.key} has no {names[0]}", hint="--reference names the column with the right answer"
            )
        return found

    def _by(self) -> str:
        if self._options.judge:
            return f"judged by {self._options.judge}"
        if self._options.scorer:
            return f"scored by {self._options.scorer}"
        if any(self._right(draft) is not None for draft in self._sample.drafts):
            return "compared with the reference"
        return f"compared with {self.models[1]}'s answers, word by word"

    def _loose(self, compared: Sequence[Compared]) -> bool:
        """Long texts that were only compared word by word: that they differ says little."""
        if self._options.judge or self._options.scorer or not compared:
            return False
        lengths = sorted(len(one.answers[self.models[1]]) for one in compared)
        texts = any(draft.spec.output_schema is None for draft in self._sample.drafts)
        return texts and lengths[len(lengths) // 2] > LONG and self._by().endswith("word by word")

    def _table(self) -> Path:
        if self._options.out is not None:
            return self._options.out
        stem = stem_of((self._options.input, *self._options.read.also))
        return stem.with_name(stem.name + ".pilot.jsonl")


def _key(model: str, key: str) -> str:
    """Of a task of the pilot's own. A long key is told by its hash, since keys have a bound."""
    short = key if len(key) <= 200 else hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return f"pilot:{model}:{short}"


def _check_keys(done: Submitted) -> None:
    if done.conflicts:
        raise InputError("two tasks have one key", hint="give every task a key of its own")


def _sum(costs: Sequence[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
