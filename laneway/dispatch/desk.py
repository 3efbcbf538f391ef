"""One account's desk: may this call start now? Rates, concurrency, breaker and pause in one answer."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from laneway.dispatch.breaker import Breaker, Doubt
from laneway.dispatch.choice import Health
from laneway.dispatch.finding.finder import FIRST_CALLS, Finder
from laneway.dispatch.limits import Limiter, Reservation, Size
from laneway.providers.model import Account, Reply
from laneway.store.budgets import Budget
from laneway.store.grants import Capacity, Grant
from laneway.task import FailureClass

LOOK_AFTER_S = 300.0  # a wrong key may be put right, credit be bought: one call sees, which costs nothing
AWAY_AFTER_S = 2.0  # down for longer than a moment; at once where it never answered
ABUNDANT = 100  # calls in flight and nothing refused: no longer one worker at a time looks for a limit
GRANT_S = 0.5  # how soon it is asked again, where all of the account is other workers' now
RAMP_STEP_S = 0.02  # how soon a start is tried again while calls come back after an outage


PAUSED = "paused"  # after a failure of the account: a wrong key, no credit
PRICE_OF = "price of model "  # is waited for, where a budget is on a model whose price nobody knows
NO_MODEL = "model "  # is waited for, which cannot be called: no key, no such name
RUN_BUDGET = "the run's budget"
DRY = "budget"  # of a head that gave nothing a moment ago, since a budget had nothing left for it
FLOWS_OPEN = "open_flows"  # as many have begun and not ended as may


@dataclass(frozen=True, slots=True)
class Blocked:
    """Not now. ``until``: when to ask again; None: when something ends (a call, a pause). ``by``: what says so."""

    until: float | None
    by: str
    held: bool = False  # somebody paused it by hand, and decides when it goes on
    budget: Budget | None = None  # for the day it is used up

    @property
    def stuck(self) -> bool:
        """Whether only a person, a new budget or another day lets it go on."""
        known = self.by in (PAUSED, RUN_BUDGET) or self.by.startswith((PRICE_OF, NO_MODEL))
        return known or self.held or self.budget is not None


@dataclass(slots=True)
class Admission:
    """A call that may start: what it has reserved. Hand it back through ``settle`` or ``release``, once."""

    desk: Desk
    number: int  # in the order of admission
    reservation: Reservation

    @property
    def size(self) -> Size:
        return self.reservation.size


class Desk:
    def __init__(
        self, account: Account, now: float, rng: random.Random, *, slots: int | None = None, share: float = 1.0
    ) -> None:
        limits = account.limits
        self.account = account
        self.limiter = Limiter(limits, now, charges_max_tokens=account.charges_max_tokens, share=share)
        self.breaker = Breaker(rng)
        self.health = Health()
        self.finder = Finder(now, rate=not self.limiter.known, slots=limits.concurrency is None, share=share)
        self.valid_until = math.inf  # until then this worker's part of the account is its own
        self._granted = False
        self._by_hand: frozenset[str] = frozenset()  # limits that somebody set while it runs
        self._share = share
        self._pays_back = False
        self._abundant = False
        self._made_before: int | None = None  # by other workers, of what is counted here
        self._slots = slots if slots is not None else limits.concurrency
        self._open: dict[int, Admission] = {}  # in the order of admission
        self._count = 0
        self._met = False  # the provider answered, now or in an earlier run
        self.paused: str | None = None  # a failure, in its own words
        self._paused_at = self._forgiven_at = 0.0
        self.look_at = math.inf  # while paused: when one call sees whether it was mended …
        self._look: int | None = None  # … and that call's number
        self.answers = 0  # calls that the provider answered
        self.last_failure: str | None = None

    @property
    def name(self) -> str:
        return self.account.name

    def reconfigure(self, account: Account, by_hand: Collection[str], now: float) -> None:
        """Its limits or its weight are others from here on; ``by_hand``: those that are not the config's. A part of a
        concurrency that was not stated before comes with the next grant."""
        before, limits = self.account.limits, account.limits
        self.account, self._by_hand = account, frozenset(by_hand)
        known = self.limiter.known
        self.limiter.configure(limits, now)
        if self.limiter.known:
            self.finder.rate_is_known()
        elif known:
            self.finder = Finder(now, slots=limits.concurrency is None, share=self._share or 1.0)
        if limits.concurrency is None:
            self._slots = None
        elif limits.concurrency != before.concurrency:
            self._slots = limits.concurrency if self._slots is None else min(limits.concurrency, self._slots)

    @property
    def in_flight(self) -> int:
        return len(self._open)

    @property
    def concurrency(self) -> int | None:
        """The bound that holds now: configured or granted, else found."""
        return self._slots if self._slots is not None else self.finder.concurrency

    def set_grant(self, grant: Grant, now: float) -> float:
        """This worker's part of the account. Returns the share that it goes by: still the former one, and nothing
        starts, while that pays back what a large call took beyond it. Else the debt would be nobody's."""
        if not self._granted and grant.share < 1.0:
            self.limiter.set_share(0.0, now)  # what its buckets held when it came is what others use
            self._share = 0.0
        self._granted, self.valid_until = True, grant.valid_until
        self._pays_back = grant.share < self._share and self.limiter.in_debt(now)
        if not self._pays_back:
            self._share = grant.share
            self.limiter.set_share(grant.share, now)
            self.finder.set_share(grant.share)
        if self.account.limits.concurrency is not None:
            self._slots = grant.slots
        elsewhere = grant.made - self._count
        before = elsewhere if self._made_before is None else self._made_before
        self.limiter.made_elsewhere(max(0, elsewhere - before), now)
        self._made_before = max(before, elsewhere)
        return self._share

    @property
    def made(self) -> int:
        """Calls that this worker admitted."""
        return self._count

    def whole(self, seconds: float, size: Size) -> Capacity:
        """What there is of the account for all workers together: ``seconds`` until they ask again, calls of this
        size."""
        calls, parts = self.limiter.whole(seconds, size)
        if calls is None and not self.abundant:
            parts = 1  # two that look for the same limit would each be refused for it
        at_once = self.account.limits.concurrency or self.finder.found().get("concurrency")
        if at_once is not None:
            turnover = max(1.0, seconds / (self.health.latency or seconds))
            calls = min(at_once * turnover, calls if calls is not None else math.inf)
        return Capacity(self.account.limits.concurrency, calls, parts or Capacity().parts)

    def admit(self, size: Size, now: float) -> Admission | Blocked:
        if self.paused is not None and (self._look is not None or now < self.look_at):
            return Blocked(None if self._look is not None else self.look_at, PAUSED)
        if not self._share or self._pays_back or now >= self.valid_until:
            return Blocked(now + GRANT_S, "share")
        free_at = self.breaker.free_at(now)
        if free_at > now:
            return Blocked(free_at, "outage")
        if self._slots is not None and len(self._open) >= self._slots:
            return Blocked(None, "concurrency")
        if self.breaker.resumed_at is not None and self.concurrency is not None:
            ramp = self.breaker.ramp(self.health.latency, now)
            if len(self._open) >= max(1.0, ramp * self.concurrency):
                return Blocked(now + RAMP_STEP_S, "recovery")
        if not self._met and not self.limiter.known and len(self._open) >= FIRST_CALLS:
            return Blocked(None, "first answer")
        at, by = self.limiter.free_at(size, now)
        if at > now:
            return Blocked(at, by)
        found_at, by = self.finder.free_at(now)
        if found_at is None or found_at > now:
            return Blocked(found_at, by)
        self._count += 1
        admission = Admission(self, self._count, self.limiter.take(size, now))
        self._open[self._count] = admission
        self.breaker.started(self._count, now, self.health.latency)
        if self.paused is not None:
            self._look = self._count
        self.finder.started(self._count, now)
        return admission

    def release(self, admission: Admission, now: float) -> None:
        """The call was not made."""
        if self._open.pop(admission.number, None):
            self.limiter.give_back(admission.reservation, now)
            self.breaker.unstarted(admission.number)
            self.finder.withdrawn(admission.number)
            self._forget_look(admission)

    def abort(self, admission: Admission, now: float) -> None:
        """The call was made, and broken off by us: what it took stays taken."""
        if self._open.pop(admission.number, None):
            self.limiter.let_go(admission.reservation, now)
            self.breaker.unstarted(admission.number)
            self.finder.withdrawn(admission.number)
            self._forget_look(admission)

    def settle(self, admission: Admission, reply: Reply, now: float, *, task: int | None = None) -> Doubt | None:
        """Learn from a reply, and free the slot. A failure that may be the provider's is returned as a doubt. ``task``:
        whose call it was, unless that task failed by itself before."""
        if self._open.pop(admission.number, None) is None:
            return None
        failure, doubt = reply.failure, None
        self._account(admission.reservation, reply, now)
        if failure is not None and failure.outage:
            self.last_failure = failure.message
            doubt = self.breaker.failed(
                admission.number,
                now,
                after=self._count,
                task=task,
                reached=reply.sent,
                usual=self.health.latency or 0.0,
            )
        else:
            self.answers += 1
            self._met = True
            refused = failure is not None and failure.refused
            if not (refused and self.breaker.closed):  # a refusal says nothing of what failed behind the door
                self.breaker.answered(admission.number, now)
        if failure is None or failure.cls is FailureClass.OUTPUT:
            self.health.answered(reply.latency, now)
        elif failure.cls is FailureClass.TRANSIENT and not failure.refused:
            self.health.failed(now)
        if failure is not None and failure.refused:
            self.limiter.refused(now)
            self.finder.refused(admission.number, reply.latency, now)
        elif failure is None or failure.cls is FailureClass.OUTPUT:
            self.finder.replied(admission.number, reply.latency, now)
        else:
            self.finder.withdrawn(admission.number)
        if failure is not None and failure.cls is FailureClass.ACCOUNT:
            self.paused, self.look_at, self._paused_at = failure.message, now + LOOK_AFTER_S, now
        elif admission.number == self._look and (failure is None or not failure.outage):
            self.paused = None
        elif admission.number == self._look:
            self.look_at = now + LOOK_AFTER_S
        self._forget_look(admission)
        for observed in reply.observed:
            self.limiter.observe(observed, admission.reservation, now)
        if self.limiter.known:
            self.finder.rate_is_known()
        return doubt

    def away(self, now: float) -> str:
        """Why it takes no calls for more than a moment, "" when it may."""
        if self.paused is not None:
            return f"is paused: {self.paused}"
        since = self.breaker.open_since
        if since is not None and (not self.answers or now - since >= AWAY_AFTER_S):
            return f"does not answer: {self.last_failure or 'as another worker saw'}"
        return ""

    def _forget_look(self, admission: Admission) -> None:
        if admission.number == self._look:
            self._look = None

    def _hear_pause(self, state: Mapping[str, Any]) -> None:
        """A failure of the account is one for all; so is an answer that came later."""
        failure, at = state.get("paused"), float(state.get("paused_at") or 0.0)
        answered_at = float((state.get("breaker") or {}).get("answered_at") or 0.0)
        if failure and self.paused is None and at > max(self._forgiven_at, self.breaker.answered_at or 0.0):
            self.paused, self._paused_at, self.look_at = str(failure), at, at + LOOK_AFTER_S
        elif not failure and self.paused is not None and answered_at > self._paused_at:
            self.paused = None

    def forgive(self, now: float) -> None:
        """Somebody says that the failure which paused it is mended."""
        self.paused, self._forgiven_at = None, now

    def judge(self, now: float, *, idle: bool = False) -> None:
        """Decide doubts that time alone decides."""
        self.breaker.judge(now, next(reversed(self._open), None), idle=idle)

    def _account(self, reservation: Reservation, reply: Reply, now: float) -> None:
        """What a call took of the limits. Of a failed one that nobody tells of, a provider may have counted all."""
        failure = reply.failure
        if reply.usage is not None:
            counted = self.account.counted(reply.usage)
            self.limiter.settle(reservation, counted.input_tokens, counted.output_tokens, now)
        elif not reply.sent:
            self.limiter.give_back(reservation, now)
        elif failure is not None and failure.turned_away:
            self.limiter.spare(reservation, now)
        else:
            self.limiter.let_go(reservation, now)

    def use(self, now: float) -> dict[str, float]:
        """The used share of each limit, 0 to 1."""
        used = self.limiter.use(now)
        if self.concurrency:
            used["concurrency"] = min(1.0, len(self._open) / self.concurrency)
        return used

    def state(self, now: float) -> dict[str, Any]:
        return {
            "levels": self.limiter.state(now),
            "paused": self.paused,
            "paused_at": self._paused_at,
            "down": not self.breaker.closed,
            "breaker": self.breaker.state(),
            "health": self.health.state(now),
            "in_flight": len(self._open),
            "last_failure": self.last_failure,
            "concurrency": self.concurrency,
            "limits": self.limiter.limits(),
            "learnt": self.limiter.learnt(),
            "met": self._met,
            "abundant": self.abundant,
            "made": self._count + (self._made_before or 0),
            "origins": self._origins(),
            **self.finder.state(),
        }

    def _origins(self) -> dict[str, str]:
        """Where each limit that holds is known from."""
        stated = {**self.limiter.limits(), "concurrency": self.account.limits.concurrency}
        origins = dict.fromkeys(self.finder.found(), "found")
        for name, value in stated.items():
            if value is not None:
                source = "hand" if name in self._by_hand else "config"
                origins[name] = source if getattr(self.account.limits, name) is not None else "headers"
        return origins

    def restore(self, state: Mapping[str, Any], age: float, now: float) -> None:
        self._met = bool(state.get("met"))
        self._made_before = state.get("made")
        self.limiter.restore(state.get("learnt") or {}, state.get("levels") or {}, age, now)
        self.finder.restore(state, age, now)
        if self.limiter.known:
            self.finder.rate_is_known()
        self.breaker.restore(state.get("breaker") or {}, age, now)
        self.health.restore(state.get("health") or {}, age, now)
        self.last_failure = state.get("last_failure") if not self.breaker.closed else None

    @property
    def abundant(self) -> bool:
        """Whether a limit that nobody states is far from where this or another worker is by now."""
        found = self.finder.found()
        return not found and (
            self._abundant or len(self._open) >= ABUNDANT or self.account.limits.concurrency is not None
        )

    def hear(self, state: Mapping[str, Any], now: float) -> None:
        """What another worker has just seen of the account."""
        self._hear_pause(state)
        self._abundant = bool(state.get("abundant"))
        self.limiter.hear(state.get("learnt") or {}, now)
        if self.limiter.known:
            self.finder.rate_is_known()
        if not self._share and not self._open:
            limits = self.account.limits
            self.finder = Finder(now, rate=not self.limiter.known, slots=limits.concurrency is None)
            self.finder.restore(state, 0.0, now)
        self.breaker.hear(state.get("breaker") or {}, now)
        self.health.hear(state.get("health") or {}, now)
        if not self.breaker.closed and self.last_failure is None:
            self.last_failure = state.get("last_failure")
