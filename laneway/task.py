"""The nouns: what a task is, where it goes, what became of it. Without behaviour beyond their own fields.

Nobody changes one. Those of which several are made for each task are not frozen at run time all the same: that makes
each of their fields cost four times as much, a seventh of all that a task costs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from laneway.store.flows import Suspension

CLASSIFY = "laneway.classify"  # the type of tasks by which triage asks its classifier
NEW_FLOW = "<new flow>"  # the model under which a flow is queued that has not begun,
FLOW = "<flow>"  # that has,
RESTING_FLOW = "<resting flow>"  # and that waits for an event or a time: perhaps for days
BY_HAND = "set by hand"  # the reason of what somebody changed with `laneway set`


def is_flow(model: str) -> bool:
    """Whether flows are queued under this model."""
    return model.startswith("<")


def needs_account(model: str) -> bool:
    """Whether tasks queued under this model make a call; others run code of the app, which chooses its own models."""
    return bool(model) and not is_flow(model)


class State(StrEnum):
    TRIAGING = "triaging"
    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


class WaitReason(StrEnum):
    RETRY = "retry"
    CHILDREN = "children"
    EVENT = "event"
    BATCH = "batch"
    SCHEDULED = "scheduled"
    BUDGET = "budget"  # its type's budget for the day is used up
    SHARED = "shared"  # an earlier task of the same key is doing it
    TRIAGE = "triage"  # the classifier is asked about it


class Urgency(IntEnum):
    """Lower is sooner. The name in lower case is the word used everywhere outside the code."""

    IMMEDIATE = 0
    URGENT = 1
    STANDARD = 2
    RELAXED = 3

    @property
    def label(self) -> str:
        return self.name.lower()


class Wire(StrEnum):
    """The format of a task's body: whose request it is, or ``python`` for a call of a registered function."""

    CHAT = "chat"  # OpenAI Chat Completions
    MESSAGES = "messages"  # Anthropic Messages
    RESPONSES = "responses"  # OpenAI Responses
    EMBEDDINGS = "embeddings"  # OpenAI Embeddings
    PYTHON = "python"


class FailureClass(StrEnum):
    """How a failure is answered; decided once, in ``providers/failures.py``."""

    TRANSIENT = "transient"  # worth another try after a pause
    ACCOUNT = "account"  # the key or its credit: pause the account, keep the tasks
    REQUEST = "request"  # this model will never take this request: fall back or fail
    OUTPUT = "output"  # an answer came, but not what was asked for
    POISON = "poison"  # its worker died of it, time after time
    CODE = "code"  # a Python task raised


@dataclass(frozen=True, slots=True)
class Failure:
    """One classified failure. ``code`` is the provider's own word where it has one (``rate_limit_exceeded``)."""

    cls: FailureClass
    code: str
    message: str
    status: int | None = None  # HTTP status
    retry_after: float | None = None  # seconds; a minimum
    refused: bool = False  # refused for a rate limit before any work was done (a true 429)
    outage: bool = False  # the provider itself seems down: counts for the breaker, not against the task

    @property
    def turned_away(self) -> bool:
        """Refused by status before any work was done: it costs no tokens."""
        if self.refused or self.cls is FailureClass.ACCOUNT:
            return True
        return self.cls is FailureClass.REQUEST and self.status is not None and 400 <= self.status < 500

    def as_json(self) -> dict[str, Any]:
        return {"class": self.cls.value, "code": self.code, "message": self.message, "status": self.status}


class Usage(NamedTuple):
    """Tokens of one call. Of ``input_tokens``, ``cached_tokens`` were read from the provider's prompt cache and
    ``written_tokens`` written to it."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0


class Route(NamedTuple):
    """What triage decided, and why. ``reasons`` maps each field to the step that filled it."""

    lane: str
    urgency: Urgency
    model: str  # "" for a Python task: it chooses its models itself
    fallbacks: tuple[str, ...] = ()
    category: str | None = None
    complexity: str | None = None
    confidence: float | None = None
    reasons: Mapping[str, str] = {}

    def place(self, model: str) -> tuple[int, int]:
        """The model's place in the route, from 0, and how many models the route has."""
        chain = (self.model, *self.fallbacks)
        return (chain.index(model) if model in chain else 0), len(chain)

    def after(self, model: str) -> str | None:
        """The model to fall back to when ``model`` cannot do it, or None."""
        at, _ = self.place(model)
        return self.fallbacks[at] if at < len(self.fallbacks) else None

    def further(self, model: str) -> tuple[str, ...]:
        """All that follow it in the route."""
        return self.fallbacks[self.place(model)[0] :]

    def as_json(self) -> dict[str, Any]:
        return {
            "lane": self.lane,
            "urgency": self.urgency.label,
            "model": self.model,
            "fallbacks": list(self.fallbacks),
            "category": self.category,
            "complexity": self.complexity,
            "confidence": self.confidence,
            "reasons": dict(self.reasons),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Route:
        return cls(
            lane=data["lane"],
            urgency=Urgency[data["urgency"].upper()],
            model=data["model"],
            fallbacks=tuple(data["fallbacks"]),
            category=data["category"],
            complexity=data["complexity"],
            confidence=data["confidence"],
            reasons=data["reasons"],
        )


class Spec(NamedTuple):
    """What a worker must know of a task type, as it stood when the task was submitted. Shared by many tasks."""

    type: str
    wire: Wire
    max_attempts: int = 6  # calls in all, on whichever models
    retry_delays: tuple[float, ...] = ()  # seconds; empty: exponential with full jitter
    timeout: float | None = None  # seconds for one call at most; None: the model's
    time_limit: float | None = None  # seconds for the task in all, from its first call's start; None: no limit
    output_schema: Mapping[str, Any] | None = None  # JSON Schema of the answer
    checks: tuple[Mapping[str, Any], ...] = ()  # what else is asked of the answer, as configured
    escalate: bool = False  # an answer that is probably not good enough goes on to the route's next model

    def as_json(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "wire": self.wire.value,
            "max_attempts": self.max_attempts,
            "retry_delays": list(self.retry_delays),
            "timeout": self.timeout,
            "time_limit": self.time_limit,
            "output_schema": self.output_schema,
            "checks": [dict(check) for check in self.checks],
            "escalate": self.escalate,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Spec:
        return cls(
            type=data["type"],
            wire=Wire(data["wire"]),
            max_attempts=data["max_attempts"],
            retry_delays=tuple(data["retry_delays"]),
            timeout=data["timeout"],
            time_limit=data.get("time_limit"),
            output_schema=data["output_schema"],
            checks=tuple(data.get("checks", ())),
            escalate=data.get("escalate", False),
        )


@dataclass(slots=True)
class NewTask:
    """A task on its way into the store: rendered, validated and routed."""

    body: bytes  # the request in ``spec.wire``'s format, JSON
    spec: Spec
    route: Route
    due_at: float  # place within its queue cell: earliest first
    key: str | None = None  # identity inside its run
    input_tokens: int = 0  # estimates
    output_tokens: int = 0
    record: bytes | None = None  # the input's columns, JSON, for the results file
    deadline: float | None = None
    wake_at: float | None = None  # not before this time
    verdict_within: float | None = None  # seconds that it waits at most for the classifier's verdict
    dedupe_for: float | None = None  # seconds in which the same key, in any run, is the earlier task
    tags: tuple[str, ...] = ()
    team: str | None = None
    parent: int | None = None  # the flow that began it
    answers_to: str | None = None  # the worker with which the only client dies that could read the answer

    @property
    def hash(self) -> bytes:
        """16 bytes that change when the rendered request does (not when only its route changes)."""
        digest = hashlib.blake2b(self.spec.type.encode(), digest_size=16)
        digest.update(b"\0")
        digest.update(self.body)
        return digest.digest()


@dataclass(slots=True)
class Claimed:
    """A task in a worker's hands. Only a settlement with this ``fence`` will be accepted."""

    id: int
    run_id: int
    cell_id: int
    fence: int
    attempts: int  # tries already used up, this one not counted
    refusals: int  # tries that cost the task nothing (429, outage), this one not counted
    losses: int  # workers that died while they had it
    key: str | None
    model: str
    lane: str
    urgency: Urgency
    account: str
    route: Route
    spec: Spec
    body: bytes
    input_tokens: int
    output_tokens: int
    submitted_at: float
    claimed_at: float
    begun_at: float  # when its first call since it was queued began
    deadline: float | None
    complaint: str | None  # about the last answer, to be shown to the model
    due_at: float = 0.0  # its place in its queue cell
    parent: int | None = None  # the flow that began it
    tags: tuple[str, ...] = ()
    team: str | None = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output, as estimated."""
        return self.input_tokens, self.output_tokens


class Outcome(StrEnum):
    """How an attempt ended. An attempt without one is in flight."""

    OK = "ok"
    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    ACCOUNT = "account"
    REQUEST = "request"
    OUTPUT = "output"
    ESCALATED = "escalated"  # answered as asked for, but probably not well: a stronger model was asked
    CODE = "code"
    LOST = "lost"  # its worker died; whether the provider charged for it is unknown
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Settlement:
    """What a worker decided about a claimed task: the attempt's books and the task's next state, written at once."""

    task_id: int
    fence: int
    state: State  # SUCCEEDED, FAILED, CANCELLED, WAITING (retry) or READY (at once, e.g. on another model)
    outcome: Outcome
    started_at: float
    latency: float  # seconds
    usage: Usage | None = None
    input_price: float | None = None  # USD per million tokens, as charged for this attempt
    output_price: float | None = None
    cost: float | None = None  # USD; None: unknown
    output: bytes | None = None  # the answer in the task's own wire format
    failure: Failure | None = None
    request_id: str | None = None
    wake_at: float | None = None
    burned: bool = True  # counts against max_attempts
    counted: bool = True  # False: not even among the free tries, which are bounded, too
    model: str | None = None  # go on with this model instead; of a task that ended: whose answer it has
    complaint: str | None = None
    flow: Suspension | None = None  # of a step of a flow
    parent: int | None = None  # the flow that began the task


class Attempt(NamedTuple):
    """One line of the ledger."""

    task_id: int
    fence: int
    call: int  # 0: the task's own; 1…: the calls a Python task made
    model: str
    account: str
    started_at: float
    reserved_cost: float | None
    outcome: Outcome | None
    latency: float | None
    usage: Usage | None
    input_price: float | None
    output_price: float | None
    cost: float | None
    error: Mapping[str, Any] | None


class Task(NamedTuple):
    """A task as the store shows it to people."""

    id: int
    run_id: int
    key: str | None
    type: str
    wire: Wire
    state: State
    wait_reason: WaitReason | None
    wake_at: float | None
    model: str
    lane: str
    urgency: Urgency
    route: Route
    input_tokens: int  # estimates
    output_tokens: int
    attempts: int
    submitted_at: float
    due_at: float
    deadline: float | None
    settled_at: float | None
    tags: tuple[str, ...]
    team: str | None
    body: bytes
    record: bytes | None
    output: bytes | None
    error: Mapping[str, Any] | None
    twin_id: int | None = None  # the earlier task of the same key whose result it waits for or has
    checked: bool = False  # its answer has to pass a schema or checks

    @property
    def pruned(self) -> bool:
        """Its content was taken away; no request is ever empty."""
        return not self.body
