"""What the ledger tells of a run and of a model's past calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from laneway.task import FailureClass, Outcome, Usage


class GroupFigures(NamedTuple):
    """One line of a run's summary: a task type, model or lane."""

    name: str
    tasks: int
    failed: int
    p50_s: float | None
    p95_s: float | None
    cost_usd: float | None


class FailureGroup(NamedTuple):
    cls: FailureClass
    code: str
    tasks: int
    example_key: str | None
    example_id: int
    message: str


class RunFigures(NamedTuple):
    """A run's books, computed from the ledger."""

    calls: int
    retries: int
    rate_limited: int
    timeouts: int  # calls that were not answered in time
    lost: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float  # of the attempts whose cost is known
    cost_unknown_tasks: int
    sequential_seconds: float
    first_submit: float | None
    last_settle: float | None
    by_type: tuple[GroupFigures, ...] = ()
    by_model: tuple[GroupFigures, ...] = ()
    by_lane: tuple[GroupFigures, ...] = ()
    failures: tuple[FailureGroup, ...] = ()
    outcomes: Mapping[str, int] = {}  # of the calls
    outcome_costs: Mapping[str, float | None] = {}  # USD; None: a price is unknown
    outcome_tokens: Mapping[str, tuple[int, int]] = {}  # input and output


class PastCall(NamedTuple):
    """One ended call of a task, as far as it says something about the next one."""

    model: str
    type: str
    account: str
    outcome: Outcome
    started_at: float
    latency: float | None
    input_tokens: int  # as estimated before the call
    usage: Usage | None
