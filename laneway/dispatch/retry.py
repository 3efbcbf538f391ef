"""What becomes of a task after a call. Pure: a reply in, the settlement out.

``max_attempts`` bounds the calls of a task in all, on whichever models. While its route has further models, each may
use up an even share of them; what it leaves, the next may use.
"""

from __future__ import annotations

import dataclasses
import random
from typing import assert_never

from laneway.providers.answers.complaints import ESCALATED, TRUNCATED, Complaint
from laneway.providers.model import Model, Reply
from laneway.task import Claimed, Failure, FailureClass, Outcome, Settlement, State, Usage, needs_account

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
UNUSABLE_ANSWERS = 2  # of one model, before the route's next one is asked
FREE_TRIES = 20  # refusals and outages that do not count against max_attempts; then they do, so that every task ends
SPREAD_S = 2.0  # within which tasks are ready again that wait for a provider's return


_BROKEN_OFF = {
    FailureClass.ACCOUNT: Outcome.ACCOUNT,
    FailureClass.REQUEST: Outcome.REQUEST,
    FailureClass.OUTPUT: Outcome.OUTPUT,
}


def decide(
    task: Claimed,
    reply: Reply,
    model: Model | None,
    *,
    now: float,
    rng: random.Random,
    down: bool = False,
    back_at: float | None = None,
) -> Settlement:
    """The settlement of a claimed task whose call ended with ``reply``. ``down``: its account's breaker is open, so
    that the failure says nothing about the task. ``back_at``: when the next look at the provider is due, where it is
    certain that it is down: the task waits for its return, however long that takes, and not for a try of its own."""
    failure = reply.failure
    if failure is None:
        return _escalated(task, reply, model) if reply.weak else _succeeded(task, reply, model)
    if reply.told:
        return _settlement(task, reply, model, State.FAILED, _BROKEN_OFF.get(failure.cls, Outcome.TRANSIENT))
    match failure.cls:
        case FailureClass.TRANSIENT:
            outcome = Outcome.RATE_LIMITED if failure.refused else Outcome.TRANSIENT
            if failure.outage and down and back_at is not None:
                wake_at = max(now, back_at, now + (failure.retry_after or 0.0)) + rng.uniform(0.0, SPREAD_S)
                return _settlement(
                    task, reply, model, State.WAITING, outcome, burned=False, counted=False, wake_at=wake_at
                )
            free = (failure.refused or (failure.outage and down)) and task.refusals < FREE_TRIES
            return _again(task, reply, model, outcome, now=now, rng=rng, burned=not free)
        case FailureClass.ACCOUNT:
            return _settlement(task, reply, model, State.READY, Outcome.ACCOUNT, burned=False)
        case FailureClass.REQUEST:
            charged = failure.status == 200  # a status that refuses has cost nothing: it uses up no attempt
            return _elsewhere(task, reply, model, Outcome.REQUEST, burned=charged)
        case FailureClass.OUTPUT:
            return _after_unusable_answer(task, reply, model, failure)
        case FailureClass.CODE:
            return _settlement(task, reply, model, State.FAILED, Outcome.CODE)
        case FailureClass.POISON:
            return _settlement(task, reply, model, State.FAILED, Outcome.LOST)
        case _:
            assert_never(failure.cls)


def _succeeded(task: Claimed, reply: Reply, model: Model | None) -> Settlement:
    """As ``_settlement`` would say it, in a third of the time: most calls end so."""
    done = Settlement(task.id, task.fence, State.SUCCEEDED, Outcome.OK, task.claimed_at, reply.latency)
    done.usage, done.output, done.request_id = reply.usage, reply.output, reply.request_id
    if model is not None:
        done.input_price, done.output_price = model.input_price, model.output_price
        done.cost = model.cost(reply.usage) if reply.usage else None
    return done


def suspended(task: Claimed, reply: Reply) -> Settlement:
    """A flow's step ended, and the flow waits."""
    done = Settlement(task.id, task.fence, State.WAITING, Outcome.OK, task.claimed_at, reply.latency)
    done.burned = done.counted = False
    done.cost = 0.0
    if reply.flow is not None:
        done.wake_at = reply.flow.wake_at
    return done


def called_off(task: Claimed, now: float) -> Settlement:
    """Its call was broken off since nobody wants the answer; the provider may charge for it all the same."""
    done = Settlement(task.id, task.fence, State.CANCELLED, Outcome.CANCELLED, task.claimed_at, now - task.claimed_at)
    done.failure = Failure(FailureClass.REQUEST, "cancelled", "broken off: whoever asked has gone")
    return done


def stronger(task: Claimed) -> tuple[str, str] | None:
    """(model, lane) that may be asked when the answer of the present one is weak."""
    name = task.route.after(task.model) if task.spec.escalate else None
    return (name, task.lane) if name else None


def _escalated(task: Claimed, reply: Reply, model: Model | None) -> Settlement:
    """On to the route's next model, which has all its tries. The answer is kept, should none of them bring one."""
    if (further := stronger(task)) is None or reply.weak is None or reply.output is None:
        return _succeeded(task, reply, model)
    complaint = Complaint.of_weak(task.model, reply.weak, reply.output)
    done = _settlement(
        task,
        reply,
        model,
        State.READY,
        Outcome.ESCALATED,
        burned=False,
        counted=False,
        next_model=further[0],
        complaint=complaint.to_text(),
    )
    return dataclasses.replace(done, failure=Failure(FailureClass.OUTPUT, ESCALATED, reply.weak))


def or_kept(task: Claimed, settlement: Settlement) -> Settlement:
    """The settlement; of a task that failed for good after an answer of its was put aside, success with that answer."""
    if settlement.state is not State.FAILED or task.complaint is None:
        return settlement
    before = Complaint.from_text(task.complaint)
    if before is None or before.kept is None:
        return settlement
    kept = before.kept
    return dataclasses.replace(
        settlement, state=State.SUCCEEDED, output=kept.output.encode(), model=kept.model, request_id=None
    )


def _again(
    task: Claimed,
    reply: Reply,
    model: Model | None,
    outcome: Outcome,
    *,
    now: float,
    rng: random.Random,
    burned: bool,
) -> Settlement:
    """Later, or on the fallback, or failed: as many tries as the type allows."""
    if burned and task.attempts + 1 >= _share(task):
        return _elsewhere(task, reply, model, outcome)
    failure = reply.failure
    assert failure is not None
    delay = delay_s(task.spec.retry_delays, task.attempts, task.refusals, failure, rng)
    return _settlement(task, reply, model, State.WAITING, outcome, burned=burned, wake_at=now + delay)


def _after_unusable_answer(task: Claimed, reply: Reply, model: Model | None, failure: Failure) -> Settlement:
    """The same model again, with its answer and the fault shown; after two of them the next, which begins afresh. A
    model that ran out of tokens twice will do so again: that is not paid a third time."""
    before = Complaint.from_text(task.complaint)
    complaint = Complaint.about(task.model, failure.code, failure.message, reply.answer, before)
    last = task.route.after(task.model) is None
    cut_again = before is not None and before.code == complaint.code == TRUNCATED and complaint.times > 1
    if task.attempts + 1 < _share(task) and not cut_again and (last or complaint.times < UNUSABLE_ANSWERS):
        return _settlement(task, reply, model, State.READY, Outcome.OUTPUT, complaint=complaint.to_text())
    return _elsewhere(task, reply, model, Outcome.OUTPUT)


def _share(task: Claimed) -> int:
    """How many of a task's attempts are used up when its present model's turn ends: of 6 attempts and 2 models, 3."""
    if not needs_account(task.model):
        return task.spec.max_attempts
    at, models = task.route.place(task.model)
    return -(-task.spec.max_attempts * (at + 1) // models)


def _elsewhere(
    task: Claimed, reply: Reply, model: Model | None, outcome: Outcome, *, burned: bool = True
) -> Settlement:
    """The route's next model, else failed."""
    fallback = task.route.after(task.model) if task.model else None
    if fallback is None or task.attempts + burned >= task.spec.max_attempts:
        return _settlement(task, reply, model, State.FAILED, outcome, burned=burned)
    return _settlement(task, reply, model, State.READY, outcome, burned=burned, next_model=fallback)


def delay_s(delays: tuple[float, ...], attempts: int, refusals: int, failure: Failure, rng: random.Random) -> float:
    """Seconds until the next try: the configured delay, else exponential with full jitter (AWS Architecture Blog,
    "Exponential Backoff And Jitter"). A ``Retry-After`` is a minimum, with jitter on top so that not everybody comes
    back at once."""
    tries = attempts + refusals
    if delays:
        delay = delays[min(attempts, len(delays) - 1)]
    else:
        delay = rng.uniform(0.0, min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** min(tries, 10)))
    if failure.retry_after is not None and delay < failure.retry_after:
        delay = failure.retry_after + rng.uniform(0.0, min(1.0, 0.1 + 0.25 * failure.retry_after))
    return delay


def _settlement(
    task: Claimed,
    reply: Reply,
    model: Model | None,
    state: State,
    outcome: Outcome,
    *,
    burned: bool = True,
    counted: bool = True,
    wake_at: float | None = None,
    next_model: str | None = None,
    complaint: str | None = None,
) -> Settlement:
    cost = model.cost(reply.usage) if model and reply.usage else _cost_without_usage(reply)
    return Settlement(
        task_id=task.id,
        fence=task.fence,
        state=state,
        outcome=outcome,
        started_at=task.claimed_at,
        latency=reply.latency,
        usage=reply.usage,
        input_price=model.input_price if model else None,
        output_price=model.output_price if model else None,
        cost=cost,
        output=reply.output if state is State.SUCCEEDED else None,
        failure=reply.failure,
        request_id=reply.request_id,
        wake_at=wake_at,
        burned=burned,
        counted=counted,
        model=next_model,
        complaint=complaint,
    )


def _cost_without_usage(reply: Reply) -> float | None:
    """A refusal or error status is not charged; a call that broke off may have been: unknown."""
    failure = reply.failure
    if failure is None:
        return None
    return 0.0 if failure.status is not None and failure.status >= 300 else None


def code_failure(error: BaseException) -> Reply:
    """The reply of a Python task that raised."""
    text = f"{type(error).__name__}: {error}"
    return Reply(None, Usage(), Failure(FailureClass.CODE, type(error).__name__, text[:2000]), 0.0)
