"""All desks of a worker: which account serves a model's call, and this worker's parts of accounts and lanes."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any

from laneway.clock import Clock
from laneway.dispatch.calibration import Calibration
from laneway.dispatch.choice import Choice
from laneway.dispatch.desk import NO_MODEL, Admission, Blocked, Desk
from laneway.dispatch.heart import INTERVAL_S, LEASE_S
from laneway.dispatch.latency import Latencies
from laneway.dispatch.limits import Size
from laneway.dispatch.live_limits import limited
from laneway.dispatch.order import Place
from laneway.dispatch.pauses import held_by
from laneway.dispatch.shares import Shares, Want
from laneway.dispatch.tempo import Tempos
from laneway.dispatch.work import Work
from laneway.errors import LanewayError, StoreError
from laneway.providers.bounds import bounded
from laneway.providers.model import Account, Model, Reply
from laneway.store.grants import Capacity, Grant
from laneway.store.interface import Store
from laneway.store.live_limits import LiveLimits
from laneway.store.steering import PauseKind
from laneway.task import Spec, needs_account

SAVED_S = 1.5  # after which what another worker saved of an account is old

log = logging.getLogger(__name__)


class Desks:
    """``find_model`` is the catalog's; lanes without a concurrency are unbounded."""

    def __init__(
        self,
        store: Store,
        worker: str,
        clock: Clock,
        find_model: Callable[[str], Model],
        lanes: Mapping[str, int | None],
        rng: random.Random | None = None,
    ) -> None:
        self._store = store
        self._worker = worker
        self._clock = clock
        self._find_model = find_model
        self._configured = dict(lanes)
        self._lanes = dict(lanes)
        self._live: dict[str, LiveLimits] = {}  # by account
        self._accounts: dict[str, Account] = {}  # as configured
        self._rng = rng or random.Random()
        self._desks: dict[str, Desk] = {}
        self.latencies = Latencies()
        self.tempos = Tempos()
        self._choice = Choice()
        self.calibration = Calibration()
        self._shares = Shares(store, worker, clock, LEASE_S, self._apply)
        self._lane_grants: dict[str, int | None] = {}
        self._unknown: dict[str, str] = {}
        self.held: Callable[[str], bool] = lambda account: False  # somebody paused the account by hand
        self.over: Callable[[str, Model], Blocked | None] = lambda account, model: None  # its budget is used up
        self.work = Work()
        self.hurry = asyncio.Event()  # ask for this worker's parts again, soon
        self.lease_until: Callable[[], float] = lambda: inf  # when others may take this worker for dead
        self._idle: set[str] = set()  # what nothing was asked for last
        self._served: dict[str, frozenset[str]] = {}  # by model: its accounts
        self._ready: set[str] = set()  # models whose accounts' desks are open
        self._places: dict[str, Place] = {}
        self._awaited: dict[str, Blocked] = {}  # by account: what somebody waits for who goes before all asked later

    def __iter__(self) -> Iterator[Desk]:
        return iter(self._desks.values())

    def desk(self, account: str) -> Desk:
        return self._desks[account]

    async def prepare(self, places: set[tuple[str, str]], now: float) -> None:
        """Open the desks of these (model, lane) pairs, with this worker's part of their limits."""
        for model_name, lane in places:
            if lane not in self._lane_grants:
                await self._open_lane(lane)
            if not needs_account(model_name) or model_name in self._ready or model_name in self._unknown:
                continue
            try:
                model = self._find_model(model_name)
            except LanewayError as error:
                self._unknown[model_name] = error.message
                log.warning("tasks for model %s wait: %s (%s)", model_name, error.message, error.hint)
                continue
            new = {account.name: account for account in model.accounts if account.name not in self._desks}
            for account in new.values():
                self._accounts[account.name] = account
                desk = Desk(account, now, self._rng)
                if live := self._live.get(account.name):
                    desk.reconfigure(limited(account, live), live.values, now)
                if saved := await self._store.load_state(f"account:{account.name}"):
                    desk.restore(saved[0], now - saved[1], now)
                self._desks[account.name] = desk
            self._served[model_name] = frozenset(account.name for account in model.accounts)
            try:
                await self._renew({f"account:{name}": self._want(self._desks[name]) for name in new})
            except StoreError:
                for name in new:
                    del self._desks[name]  # without a part of it
                raise
            if known := await self._store.load_state(f"latency:{model_name}"):
                self.latencies.restore(model_name, known[0])
            if kept := await self._store.load_state(f"calibration:{model_name}"):
                self.calibration.restore(model_name, kept[0])
            self._ready.add(model_name)
            self._places.clear()

    async def obey(self, limits: Sequence[LiveLimits], now: float) -> None:
        """What somebody set, instead of the config's; no longer in force where it is not named any more."""
        lanes = {one.name: one.concurrency for one in limits if one.kind is PauseKind.LANE and one.concurrency}
        for lane in {*lanes, *self._lanes}:
            slots = lanes.get(lane, self._configured.get(lane))
            if self._lanes.get(lane) != slots:
                self._lanes[lane] = slots
                self._lane_grants.pop(lane, None)  # opened anew before anything starts there
        live = {one.name: one for one in limits if one.kind is PauseKind.ACCOUNT}
        changed = [name for name in {*live, *self._live} if live.get(name) != self._live.get(name)]
        self._live = live
        wants = {}
        for desk in (self._desks[name] for name in changed if name in self._desks):
            account = self._accounts[desk.name]
            one = live.get(desk.name)
            desk.reconfigure(account if one is None else limited(account, one), one.values if one else (), now)
            wants[f"account:{desk.name}"] = self._want(desk)
        if wants:
            await self._renew(wants)

    async def _open_lane(self, lane: str) -> None:
        if self._lanes.get(lane) is None:
            self._lane_grants[lane] = None
        else:
            await self._renew({f"lane:{lane}": self._want_lane(lane)})

    async def renew(self, now: float) -> None:
        """Renew all parts, keep what was learnt, and hear what others learnt. Call every few seconds, well within a
        lease."""
        wants = {f"account:{name}": self._want(desk) for name, desk in self._desks.items()}
        wants |= {
            f"lane:{lane}": self._want_lane(lane) for lane, slots in self._lane_grants.items() if slots is not None
        }
        await self._renew(wants)
        for desk in self._desks.values():
            name = f"account:{desk.name}"
            saved = await self._store.load_state(name)
            if saved and saved[0].get("by") != self._worker and now - saved[1] < LEASE_S:
                desk.hear(saved[0], now)
            state = {**desk.state(now), "by": self._worker}
            if saved is None or _is_news(state, saved[0]) or (desk.made and now - saved[1] > SAVED_S):
                await self._store.save_state(name, state, now)
        latencies = {f"latency:{model}": state for model, state in self.latencies.changes()}
        sizes = {f"calibration:{model}": self.calibration.state(model) for model in self.calibration.changed()}
        learnt = {**latencies, **sizes}
        await asyncio.gather(*(self._store.save_state(name, state, now) for name, state in learnt.items()))

    def _want(self, desk: Desk) -> Want:
        models = {name for name, accounts in self._served.items() if desk.name in accounts}
        capacity = desk.whole(INTERVAL_S, self.work.usual_size(models, self.calibration.size))
        most = capacity.calls if capacity.calls is not None else inf
        return Want(capacity, self.work.of_models(models, desk.name, most), desk.in_flight, desk.made)

    def _want_lane(self, lane: str) -> Want:
        slots = self._lanes[lane] or 0
        in_flight = sum(n for (_, own, _), n in self.work.in_flight.items() if own == lane)
        return Want(Capacity(slots), self.work.of_lane(lane, slots), in_flight)

    async def _renew(self, wants: Mapping[str, Want]) -> None:
        self._idle = {name for name, want in wants.items() if not any(want.calls)}
        self.hurry.clear()
        await self._shares.renew(wants)

    def _apply(self, resource: str, grant: Grant) -> float:
        kind, _, name = resource.partition(":")
        if kind == "lane":
            self._lane_grants[name] = grant.slots
            share = grant.share
        else:
            share = self._desks[name].set_grant(grant, self._clock.now())
        if grant.lacks or share > grant.share:
            self.hurry.set()
        return share

    def lane_slots(self, lane: str) -> int | None:
        slots = self._lane_grants.get(lane)
        return 0 if slots is not None and self._shares.over(f"lane:{lane}") else slots

    def model(self, name: str) -> Model | None:
        """A prepared model, with its prices as known by now."""
        return self._find_model(name) if name in self._ready else None

    def place(self, model_name: str) -> Place:
        """The accounts that a model draws on, and all that are connected with them through other models."""
        if not self._places:
            self._places = places({name: [a.name for a in self._find_model(name).accounts] for name in self._ready})
        return self._places.get(model_name) or Place(model_name, model_name)

    def new_round(self) -> None:
        """From here on everybody asks anew, who goes first asking first."""
        self._awaited.clear()

    def why_not(self, model_name: str) -> str | None:
        """Why a model cannot be called at all, where that was found."""
        return self._unknown.get(model_name)

    def admit(self, model_name: str, size: Size, now: float) -> Admission | Blocked:
        """A start on one of the model's accounts: the first that admits, in the order that ``choice`` gives. Who has to
        wait for a rate has it kept for him until the next round: else many small calls would never let a large one
        go, however urgent."""
        model = self.model(model_name)
        if model is None:
            return Blocked(None, f"{NO_MODEL}{model_name}")
        if now >= self.lease_until():
            return Blocked(None, "lease")
        blocked: Blocked | None = None
        account = ""
        desks = [self._desks[account.name] for account in model.accounts]
        order = self._choice.order(model_name, desks, now)
        for at, (desk, _) in enumerate(order):
            answer = self._barred(desk.name, model) or self._after_others(desk, size, now)
            if isinstance(answer, Admission):
                self._choice.started(model_name, order, at)
                return answer
            if blocked is None or _soonness(answer) < _soonness(blocked):
                blocked, account = answer, desk.name
        assert blocked is not None
        if blocked.by == "paused" or self._barred(account, model):
            return blocked
        self._awaited.setdefault(account, blocked)
        return Blocked(blocked.until, f"{account}: {blocked.by}")

    def _barred(self, account: str, model: Model) -> Blocked | None:
        """Whether somebody paused the account, or its budget is used up."""
        return held_by(PauseKind.ACCOUNT, account) if self.held(account) else self.over(account, model)

    def _after_others(self, desk: Desk, size: Size, now: float) -> Admission | Blocked:
        awaited = self._awaited.get(desk.name)
        if awaited is not None and desk.limiter.takes(awaited.by, size):
            return awaited
        answer = desk.admit(size, now)
        if isinstance(answer, Blocked) and answer.by == "share" and f"account:{desk.name}" in self._idle:
            self.hurry.set()  # there was nothing to do here until now
        return answer

    def fit(
        self, admission: Admission, model_name: str, spec: Spec, body: bytes, tokens: tuple[int, int], now: float
    ) -> bool:
        """Reserve by what is now known of the call: its type, and whether it bounds its answer. Returns whether that
        is less than before."""
        model = self.model(model_name)
        is_bounded = bounded(body, model.params if model else {})
        before, size = admission.size, self.calibration.size(model_name, *tokens, spec.type, is_bounded)
        admission.desk.limiter.resize(admission.reservation, size, now)
        return size.output_tokens < before.output_tokens or size.max_output_tokens < before.max_output_tokens

    def learn(self, admission: Admission, model_name: str, spec: Spec, tokens: tuple[int, int], reply: Reply) -> None:
        """How far the estimates were off."""
        if reply.usage is not None:
            counted = admission.desk.account.counted(reply.usage)
            is_bounded = admission.size.bounded
            self.calibration.learn(model_name, spec.type, *tokens, counted, bounded=is_bounded)

    def now(self) -> float:
        return self._clock.now()

    def others(self, model_name: str, desk: Desk) -> list[str]:
        """The model's other accounts that are not paused."""
        model = self.model(model_name)
        names = [account.name for account in model.accounts] if model else []
        return [name for name in names if name != desk.name and self._desks[name].paused is None]

    def forgive(self, account: str) -> None:
        """Somebody says that the failure which paused this account is mended."""
        if desk := self._desks.get(account):
            desk.forgive(self._clock.now())

    def troubled(self, model_name: str) -> bool:
        """Whether something is the matter with all accounts of a model that nobody holds: it may be away soon."""
        desks = self._not_held(model_name)
        return bool(desks) and all(
            desk.paused is not None or not desk.breaker.closed or self._spent(desk, model_name) for desk in desks
        )

    def away(self, model_name: str, now: float) -> str:
        """Why nobody serves this model for more than a moment ("" when somebody may). A pause by hand is no reason: a
        person decided that its tasks wait."""
        reasons = []
        for desk in self._not_held(model_name):
            reason = desk.away(now) or ("has used up its budget of the day" if self._spent(desk, model_name) else "")
            if not reason:
                return ""
            reasons.append(f"account {desk.name} {reason}")
        return "; ".join(reasons)

    def faster(self, model_name: str, than: str) -> bool:
        """Whether tasks of a slow model should rather go to this one."""
        return not self.tempos.slow(model_name) and self.tempos.faster(
            model_name, than, self.latencies.median(model_name)
        )

    def _spent(self, desk: Desk, model_name: str) -> bool:
        model = self.model(model_name)
        over = self.over(desk.name, model) if model is not None else None
        return over is not None and over.budget is not None

    def _not_held(self, model_name: str) -> list[Desk]:
        model = self.model(model_name) if model_name else None
        return [self._desks[a.name] for a in model.accounts if not self.held(a.name)] if model else []

    def pauses(self) -> str:
        """Which accounts are paused after a failure, and why, in one sentence each."""
        return "; ".join(f"account {d.name} is paused: {d.paused}" for d in self._desks.values() if d.paused)

    def unreachable(self, models: Iterable[str], now: float, never_answered: float, outage: float) -> str:
        """A sentence when every account that could serve these models has been down for too long, else ""."""
        found = [model for name in models if (model := self.model(name))]
        names = sorted({account.name for model in found for account in model.accounts})
        able = [desk for name in names if (desk := self._desks[name]).paused is None]
        for desk in able:
            since = desk.breaker.open_since
            if since is None or now - since < (outage if desk.answers else never_answered):
                return ""
        words = [f"account {d.name} ({d.account.base_url}) does not answer: {d.last_failure}" for d in able]
        return "; ".join([*words, *filter(None, [self.pauses()])]) if able else ""


def places(accounts: Mapping[str, Sequence[str]]) -> dict[str, Place]:
    """By model, of each model's accounts."""
    pool: dict[str, set[str]] = {}
    for names in accounts.values():
        together = set(names).union(*(pool.get(name, ()) for name in names))
        pool.update(dict.fromkeys(together, together))
    return {
        model: Place("+".join(sorted(names)), "+".join(sorted(pool[names[0]]))) for model, names in accounts.items()
    }


def _is_news(state: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Whether others should hear of it at once. Who saved last goes on to save; of many workers only some need to."""

    def told(one: Mapping[str, Any]) -> tuple[Any, ...]:
        down = (one.get("breaker") or {}).get("open_since") is not None
        return one.get("paused"), down, set(one.get("found") or ()), set(one.get("learnt") or ()), one.get("abundant")

    mine = saved.get("by") in (None, state["by"])
    return mine or told(state) != told(saved) or _is_measured(state) > _is_measured(saved)


def _is_measured(state: Mapping[str, Any]) -> bool:
    """Whether it tells how long calls take."""
    return bool((state.get("health") or {}).get("answers"))


def _soonness(blocked: Blocked) -> tuple[int, float]:
    """What will let a call go soonest comes first; then a person's decision, last a failure that needs mending."""
    kind = 2 if blocked.by == "paused" else 1 if blocked.held or blocked.budget else 0
    return kind, blocked.until or 1e18
