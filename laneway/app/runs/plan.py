"""``laneway plan``: the same reading and routing as a run, then what it would take. Nothing is sent or written."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laneway.app.runs.batch import BatchOptions, open_input
from laneway.app.runs.plan_notes import notes_of, notes_of_budget
from laneway.app.runs.taking_in import TakingIn
from laneway.app.standing import standings
from laneway.dispatch.dispatcher import MAX_IN_FLIGHT
from laneway.errors import LanewayError
from laneway.intake.results import check_out, run_identity
from laneway.planning.demand import Demand
from laneway.planning.estimate import Estimate, Setting, estimate
from laneway.planning.expect import Expectation
from laneway.planning.history import History
from laneway.planning.ranges import Range, total
from laneway.providers.model import Account, Limits, Model
from laneway.providers.trust import is_loopback
from laneway.store.interface import Store
from laneway.store.runs import Run
from laneway.store.steering import PauseKind
from laneway.task import State, Usage

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.providers.catalog import Catalog
    from laneway.triage.patient import Patient

PAST_CALLS = 2_000  # of each model that are looked at
_RATES = tuple(field.name for field in dataclasses.fields(Limits) if field.name != "concurrency")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of this input would take. Seconds, USD."""

    input: str
    total: int
    done: int  # succeeded in an earlier run
    deduplicated: int
    bad_input: int
    estimate: Estimate
    strongest: Model | None  # the dearest: what everything is compared with
    max_cost: float | None
    notes: tuple[str, ...]

    @property
    def to_do(self) -> int:
        return self.total - self.done

    @property
    def strongest_cost(self) -> Range | None:
        return None if self.strongest is None else self.estimate.cost_on(self.strongest)

    @property
    def saved(self) -> Range | None:
        """Against the strongest model for everything, answers of the same length."""
        cost, strongest = self.estimate.cost, self.strongest_cost
        if cost is None or strongest is None:
            return None
        return Range.of(strongest.low - cost.low, strongest.high - cost.high)

    @property
    def fits(self) -> bool | None:
        """Whether it stays within the budget; None: that depends, or there is none."""
        cost = self.estimate.cost
        if self.max_cost is None or cost is None:
            return None
        return True if cost.high <= self.max_cost else False if cost.low > self.max_cost else None

    def as_json(self) -> dict[str, Any]:
        known = self.estimate
        strongest = self.strongest
        return {
            "input": self.input,
            "tasks": {
                "total": self.total,
                "done": self.done,
                "to_do": self.to_do,
                "deduplicated": self.deduplicated,
            },
            "bad_input": self.bad_input,
            "by_lane": {name: _lane(ways) for name, ways in _grouped(known.ways, "lane").items()},
            "by_model": {name: _model(ways) for name, ways in _grouped(known.ways, "model").items()},
            "by_type": {name: {"tasks": _tasks(ways)} for name, ways in _grouped(known.ways, "type").items()},
            "tokens": {"input": known.input_tokens.as_counts(), "output": known.output_tokens.as_counts()},
            "cost_usd": money(known.cost),
            "cost_known_usd": money(known.cost_known),
            "cost_unknown_models": list(known.unpriced),
            "seconds": known.seconds.as_json(),
            "bound_by": known.bound_by,
            "sequential_seconds": known.sequential_s.as_json(),
            "strongest": strongest and {"model": strongest.name, "cost_usd": money(self.strongest_cost)},
            "saved": {
                "seconds": _saved_time(known).as_json(),
                "cost_usd": money(self.saved),
            },
            "max_cost_usd": self.max_cost,
            "fits": self.fits,
            "notes": list(self.notes),
        }


class Planner:
    def __init__(self, lw: Laneway, options: BatchOptions) -> None:
        self._lw = lw
        self._options = options
        self._done = 0
        self._sparable = 0  # to be done, unless another run has done the same within ``dedupe_for``
        self._asked = [0, 0, 0]  # tasks that the classifier would be asked about, tokens in and out
        self._seen: dict[int, int] = {}  # of every key its body, both hashed

    async def plan(self) -> Plan:
        """Raises what a run raises before anything is paid, but for a missing key: that is a note."""
        lw, options = self._lw, self._options
        store = lw.existing_store()
        catalog = lw.new_catalog(options.concurrency, keys_needed=False)
        reading, out = open_input(lw, options)
        with contextlib.closing(reading):
            run = await store.find_run(run_identity(out, lw.config)) if store else None
            check_out(out, known=run is not None, fresh=options.fresh, touch=False)
            intake = TakingIn(lw, reading, catalog, anew=options.fresh)
            demand = await self._demand(intake, store, None if options.fresh else run)
        intake.finish(options.on_bad_input)
        if options.max_cost is not None:
            intake.check_prices()
        intake.check_day_budgets()
        catalog.load_prices()
        setting = await self.setting(intake.models, catalog, store)
        history = await self.history(demand, store)
        found = estimate(demand.ways, setting, history)
        return Plan(
            input=options.input,
            total=intake.taken - intake.deduplicated,
            done=self._done,
            deduplicated=intake.deduplicated,
            bad_input=intake.faults.count,
            estimate=found,
            strongest=self._strongest(found, intake.models, catalog),
            max_cost=options.max_cost,
            notes=(*notes_of(found, setting), *await self._circumstances(found, catalog, store)),
        )

    # what is to be done -------------------------------------------------------------------------------------------
    async def _demand(self, intake: TakingIn, store: Store | None, run: Run | None) -> Demand:
        demand = Demand()
        for chunk in intake.chunks():
            known: Mapping[tuple[str, bytes], State] = {}
            if store is not None and run is not None:
                known = await store.known(run, [one.draft.key for one in chunk])
            conflicts, duplicates = [], 0
            open_: list[Patient] = []
            for position, one in enumerate(chunk):
                key, digest = hash(one.draft.key), one.task.hash
                if key in self._seen:
                    conflicts += [] if self._seen[key] == hash(digest) else [position]
                    duplicates += self._seen[key] == hash(digest)
                    continue
                self._seen[key] = hash(digest)
                if known.get((one.draft.key, digest)) is State.SUCCEEDED:
                    self._done += 1
                else:
                    demand.add(one.task)
                    self._sparable += one.task.dedupe_for is not None
                    open_ += [one.patient] if one.patient is not None else []
            intake.taken_in(chunk, duplicates, conflicts)
            if open_ and intake.inquiries is not None:
                more = await intake.inquiries.weigh(store, open_)
                self._asked = [had + one for had, one in zip(self._asked, more, strict=True)]
        return demand

    # what is known ------------------------------------------------------------------------------------------------
    async def setting(self, names: Iterable[str], catalog: Catalog, store: Store | None) -> Setting:
        """The models with the limits that are configured or were learnt from earlier replies."""
        config, options = self._lw.config, self._options
        accounts: dict[str, Account] = {}
        left_today: dict[str, float] = {}
        models = {}
        for name in names:
            model = catalog.model(name)
            for account in model.accounts:
                if account.name not in accounts:
                    saved = await store.load_state(f"account:{account.name}") if store else None
                    state, saved_at = saved if saved else ({}, 0.0)
                    accounts[account.name] = _with_learnt(account, state)
                    level = (state.get("levels") or {}).get("requests_per_day")
                    if level is not None and (a_day := accounts[account.name].limits.requests_per_day):
                        back = a_day * (self._lw.clock.now() - saved_at) / 86_400
                        left_today[account.name] = max(0.0, float(level) + back)
            models[name] = dataclasses.replace(model, accounts=tuple(accounts[one.name] for one in model.accounts))
        lanes = {name: lane.concurrency for name, lane in config.lanes.items() if lane.concurrency is not None}
        return Setting(
            models=models,
            lanes=lanes,
            slots=options.concurrency or MAX_IN_FLIGHT,
            local=lambda account: is_loopback(account.base_url),
            left_today=left_today,
        )

    async def history(self, demand: Demand, store: Store | None) -> History:
        if store is None:
            return History()
        calls = []
        for model in sorted({way.model for way in demand.ways}):
            calls += await store.past_calls(model, PAST_CALLS)
        return History(calls)

    def _strongest(self, found: Estimate, used: Iterable[str], catalog: Catalog) -> Model | None:
        """The dearest of the config's models for this work, else of the input's."""
        priced: list[tuple[float, Model]] = []
        for name in self._lw.config.models or sorted(used):
            with contextlib.suppress(LanewayError):  # a model that is not used may well be unusable
                model = catalog.model(name)
                cost = found.cost_on(model)
                if cost is not None:
                    priced.append((cost.high, model))
        return max(priced, key=lambda one: one[0])[1] if priced and found.ways else None

    async def _circumstances(self, found: Estimate, catalog: Catalog, store: Store | None) -> list[str]:
        """What would keep the run from starting or from ending, or spare it work."""
        said = [f"{why}; the run needs it" for why in catalog.without_key]
        for one in await standings(self._lw.config, store, self._lw.clock.now()):
            said += notes_of_budget(self._lw.config, one, found)
        said += self._questions(catalog)
        if store is None:
            return said
        if self._sparable:
            said.append(
                f"{self._sparable:,} tasks have dedupe_for: those that another run did within that time cost nothing,"
                " yet all are counted here"
            )
        accounts = {account.name for one in found.ways for account in catalog.model(one.way.model).accounts}
        lanes = {one.way.lane for one in found.ways}
        for pause in await store.pauses():
            concerned = {PauseKind.LANE: lanes, PauseKind.ACCOUNT: accounts}.get(pause.kind, set())
            if pause.since is not None and pause.name in concerned:
                said.append(f"{pause.kind} {pause.name} is paused: its tasks wait until it is resumed")
        return said

    def _questions(self, catalog: Catalog) -> list[str]:
        """What asking the classifier would come to."""
        tasks, input_tokens, output_tokens = self._asked
        settings = self._lw.config.triage.classifier
        if settings is None or not tasks:
            return []
        cost = catalog.model(settings.model).cost(Usage(input_tokens, output_tokens))
        much = "a cost that is not known" if cost is None else f"about ${cost:.4f}"
        return [
            f"the classifier {settings.model} is asked about {tasks:,} tasks that are left open, for {much} beside what"
            " is counted here; tasks that it sends to another model cost what that costs"
        ]


def _with_learnt(account: Account, state: Mapping[str, Any]) -> Account:
    learnt: dict[str, Any] = {
        name: float(amount)
        for name, amount in (state.get("limits") or {}).items()
        if name in _RATES and getattr(account.limits, name) is None and amount > 0
    }
    return dataclasses.replace(account, limits=dataclasses.replace(account.limits, **learnt)) if learnt else account


# figures ----------------------------------------------------------------------------------------------------------
def _grouped(ways: Iterable[Expectation], field: str) -> dict[str, list[Expectation]]:
    groups: dict[str, list[Expectation]] = {}
    for one in ways:
        groups.setdefault(getattr(one.way, field), []).append(one)
    return dict(sorted(groups.items()))


def _tasks(ways: Iterable[Expectation]) -> int:
    return sum(one.tasks for one in ways)


def _lane(ways: list[Expectation]) -> dict[str, Any]:
    by_model, by_urgency = Counter[str](), Counter[str]()
    for one in ways:
        by_model[one.way.model] += one.tasks
        by_urgency[one.way.urgency.label] += one.tasks
    return {"tasks": _tasks(ways), "by_model": dict(by_model), "by_urgency": dict(by_urgency)}


def _model(ways: list[Expectation]) -> dict[str, Any]:
    costs = [one.cost for one in ways if one.cost is not None]
    call_s = Range(min(one.call_s.low for one in ways), max(one.call_s.high for one in ways))
    return {
        "tasks": _tasks(ways),
        "calls": total(one.calls for one in ways).as_counts(),
        "tokens": {
            "input": total(one.input_tokens for one in ways).as_counts(),
            "output": total(one.output_tokens for one in ways).as_counts(),
        },
        "cost_usd": money(total(costs)) if len(costs) == len(ways) else None,
        "call_seconds": call_s.as_json(),
        "past_calls": sum(one.past.calls for one in ways if one.past is not None),
    }


def _saved_time(known: Estimate) -> Range:
    return Range.of(
        max(0.0, known.sequential_s.low - known.seconds.low), max(0.0, known.sequential_s.high - known.seconds.high)
    )


def money(amount: Range | None) -> dict[str, float] | None:
    return None if amount is None else amount.as_json(8)
