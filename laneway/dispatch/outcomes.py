"""From a call's end to what is written of its task: whose fault it was, where the task goes on, what words are kept."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from laneway.dispatch.breaker import Doubt
from laneway.dispatch.budgets import Budgets
from laneway.dispatch.desk import Admission
from laneway.dispatch.desks import Desks
from laneway.dispatch.detours import Detours
from laneway.dispatch.docket import Case
from laneway.dispatch.retry import decide, or_kept, stronger, suspended
from laneway.dispatch.settler import Settler
from laneway.dispatch.time_limit import left_s, within_limit
from laneway.providers.model import Reply
from laneway.store.flows import Suspension
from laneway.task import Claimed, Failure, FailureClass, Settlement, State

log = logging.getLogger(__name__)


class Outcomes:
    def __init__(
        self,
        desks: Desks,
        budgets: Budgets,
        detours: Detours,
        settler: Settler,
        rng: random.Random,
        words: Callable[[Failure], Failure] | None,
        *,
        tells_pauses: bool,
    ) -> None:
        """``words``: what is kept and shown of a failure. ``tells_pauses``: of accounts; a run says it at its end."""
        self._desks = desks
        self._budgets = budgets
        self._detours = detours
        self._settler = settler
        self._rng = rng
        self._words = words
        self._tells_pauses = tells_pauses

    def to_be_kept(self, reply: Reply) -> Reply:
        """A reply with those words of its failure that may be kept and shown."""
        if self._words is None or reply.failure is None:
            return reply
        return replace(reply, failure=self._words(reply.failure))

    def learn(self, admission: Admission, reply: Reply, now: float, task: Claimed) -> Doubt | None:
        """What the reply says of its account."""
        desk, went = admission.desk, admission.desk.paused is None
        doubt = desk.settle(admission, reply, now, task=None if task.attempts else task.id)
        if went and desk.paused is not None:
            others = self._desks.others(task.model, desk)
            if others:
                log.warning("account %s is paused: %s; its work goes to %s", desk.name, desk.paused, ", ".join(others))
            elif self._tells_pauses:
                log.warning("account %s is paused: %s", desk.name, desk.paused)
        return doubt

    def conclude(self, cases: Iterable[Case]) -> None:
        """It is known by now who was to blame for these failures."""
        for case in cases:
            doubt = case.doubt
            back_at = (case.desk.breaker.next_probe or case.ended_at) if doubt.sure else None
            self.settle(case.task, case.reply, case.ended_at, down=bool(doubt.innocent), back_at=back_at)

    def settle(
        self, task: Claimed, reply: Reply, now: float, *, down: bool = False, back_at: float | None = None
    ) -> None:
        if reply.flow is not None and not reply.flow.ended:
            self.add(task, suspended(task, reply), reply.flow)
            return
        model, failure = self._desks.model(task.model), reply.failure
        if reply.weak and not self._may_escalate(task, now):
            reply = replace(reply, weak=None)
        settlement = decide(task, reply, model, now=now, rng=self._rng, down=down, back_at=back_at)
        home = self._detours.home(task.id, away=down or (failure is not None and failure.cls is FailureClass.ACCOUNT))
        if failure is None:
            self.add(task, settlement, reply.flow)
            return
        if home and not settlement.state.ended:
            settlement = replace(settlement, model=home)
        if back_at is not None and self._may_go_at_once(task, now):
            settlement = replace(settlement, state=State.READY, wake_at=None)
        settlement = replace(settlement, failure=self.to_be_kept(reply).failure)
        self.add(task, or_kept(task, within_limit(task, settlement, now)), reply.flow)

    def add(self, task: Claimed, settlement: Settlement, flow: Suspension | None = None) -> None:
        """To be written. ``flow``: what a step of a flow leaves behind."""
        settlement.flow, settlement.parent = flow, task.parent
        self._settler.add(task, settlement)

    def _may_go_at_once(self, task: Claimed, now: float) -> bool:
        """Whether somebody else is there: another account of the same model, or a further model of the route. Else it
        waits for its provider's return."""
        return not self._desks.troubled(task.model) or self._detours.elsewhere(task, now)

    def _may_escalate(self, task: Claimed, now: float) -> bool:
        """Whether the route's next model could be asked soon. Else an answer that is there is better than to wait."""
        name, lane = stronger(task) or ("", "")
        model = self._desks.model(name)
        if model is None or self._desks.away(name, now) or left_s(task, now) <= 0:
            return False
        return self._budgets.of_place(model, lane, task.spec.type) is None
