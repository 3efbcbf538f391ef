"""The account of a run: one object with everything, printed as JSON or for people."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from laneway.app.runs.saving import Saving
from laneway.dispatch.ending import Stop, StopReason
from laneway.intake.draft import BadLine
from laneway.store.asking import NOT_ASKED, AskedFigures
from laneway.store.figures import FailureGroup, GroupFigures, RunFigures
from laneway.task import Outcome, State

if TYPE_CHECKING:
    from laneway.app.flows.paths import Paths

LEAST_BOUND = 0.05  # a limit that held work back for less of the run than this is not said to bind it


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of this invocation; the groups cover the whole run. Times in seconds, money in USD."""

    run_id: int
    out: str
    counts: Mapping[State, int]
    deduplicated: int
    bad_input: int
    bad_first: Sequence[BadLine]  # of these, those that are shown
    bad_file: str | None  # where all of them are kept
    stop: Stop
    seconds: float
    process_started: float  # seconds since 1970
    figures: RunFigures  # of this invocation
    total: RunFigures  # of the whole run, earlier invocations included
    bound: Mapping[str, float]  # seconds that each limit held work back
    paused: tuple[str, ...] = ()  # what somebody holds that has tasks of this run left: "lane legal"
    diverted: Mapping[tuple[str, str], int] = field(
        default_factory=dict
    )  # tasks by (model that was away or slow, other model)
    asked: AskedFigures = NOT_ASKED  # the classifier, this invocation
    from_cache: int = 0  # tasks of which it had said before what they are
    paths: Paths | None = None  # where the time of its flows went
    saving: Saving | None = None  # by the choice among models, where one was learnt

    @property
    def succeeded(self) -> int:
        return self.counts.get(State.SUCCEEDED, 0)

    @property
    def failed(self) -> int:
        return self.counts.get(State.FAILED, 0)

    @property
    def cancelled(self) -> int:
        return self.counts.get(State.CANCELLED, 0)

    @property
    def tasks(self) -> int:
        return sum(self.counts.values())

    @property
    def remaining(self) -> int:
        return self.tasks - self.succeeded - self.failed - self.cancelled

    @property
    def cost_usd(self) -> float | None:
        """None when the price of any answered call is unknown."""
        return None if self.figures.cost_unknown_tasks else self.figures.cost_usd

    @property
    def unusable_cost(self) -> float | None:
        """USD for answers that were not what was asked for; None when a price is unknown."""
        return self.figures.outcome_costs.get(Outcome.OUTPUT, 0.0)

    @property
    def unusable_share(self) -> float | None:
        """Of the cost."""
        if self.unusable_cost is None or not self.cost_usd:
            return None
        return self.unusable_cost / self.cost_usd

    @property
    def escalated(self) -> int:
        """Answers that were put aside for a stronger model's."""
        return self.figures.outcomes.get(Outcome.ESCALATED, 0)

    @property
    def escalated_cost(self) -> float | None:
        """USD for those answers; None when a price is unknown."""
        return self.figures.outcome_costs.get(Outcome.ESCALATED, 0.0)

    @property
    def speedup(self) -> float | None:
        """Against one call after the other."""
        return self.figures.sequential_seconds / self.seconds if self.seconds > 0 and self.figures.calls else None

    @property
    def bound_by(self) -> str | None:
        """The limit that held work back the longest, None when none did for long."""
        if not self.bound:
            return None
        name, held = max(self.bound.items(), key=lambda item: item[1])
        return name if held >= LEAST_BOUND * max(self.seconds, 1e-9) else None

    @property
    def exit_code(self) -> int:
        match self.stop.reason:
            case StopReason.INTERRUPTED:
                return 130
            case StopReason.DONE:
                return 1 if self.failed or self.cancelled or self.bad_input else 0
            case _:
                return 3

    def _triage(self) -> dict[str, Any]:
        """The classifier's part; its cost is in ``cost_usd``, too."""
        asked = self.asked
        per_1000 = None if asked.cost_usd is None or not asked.asked else 1000 * asked.cost_usd / asked.asked
        return {
            "asked": asked.asked,
            "answered": asked.answered,
            "abstained": asked.abstained,
            "unheard": asked.unheard,
            "from_cache": self.from_cache,
            "calls": asked.calls,
            "tokens": {"input": asked.input_tokens, "output": asked.output_tokens},
            "cost_usd": _money(asked.cost_usd),
            "cost_per_1000_usd": _money(per_1000),
        }

    def as_json(self) -> dict[str, Any]:
        figures, total = self.figures, self.total
        return {
            "run_id": self.run_id,
            "out": self.out,
            "tasks": {
                "total": self.tasks,
                "succeeded": self.succeeded,
                "failed": self.failed,
                "cancelled": self.cancelled,
                "deduplicated": self.deduplicated,
                "remaining": self.remaining,
            },
            "stopped_reason": None if self.stop.reason is StopReason.DONE else self.stop.reason.value,
            "stopped_message": self.stop.message or None,
            "goes_on_at": self.stop.until,
            "paused": list(self.paused),
            "bad_input": self.bad_input,
            "bad_input_first": [{"at": bad.place, "reason": bad.reason} for bad in self.bad_first],
            "bad_input_file": self.bad_file,
            "seconds": round(self.seconds, 4),
            "wall_s": round(time.time() - self.process_started, 4),  # this object is the last thing that is printed
            "sequential_seconds": round(figures.sequential_seconds, 4),
            "speedup": None if self.speedup is None else round(self.speedup, 3),
            "calls": figures.calls,
            "retries": figures.retries,
            "rate_limited": figures.rate_limited,
            "timeouts": figures.timeouts,
            "lost": figures.lost,
            "diverted": {
                "tasks": sum(self.diverted.values()),
                "ways": [{"from": way[0], "to": way[1], "tasks": n} for way, n in self.diverted.items()],
            },
            "outcomes": dict(figures.outcomes),
            "cost_by_outcome": {name: _money(cost) for name, cost in figures.outcome_costs.items()},
            "unusable": {
                "answers": figures.outcomes.get(Outcome.OUTPUT, 0),
                "cost_usd": _money(self.unusable_cost),
                "share": None if self.unusable_share is None else round(self.unusable_share, 4),
            },
            "escalated": {"answers": self.escalated, "cost_usd": _money(self.escalated_cost)},
            "tokens": {
                "input": figures.input_tokens,
                "output": figures.output_tokens,
                "cached": figures.cached_tokens,
            },
            "cost_usd": _money(self.cost_usd),
            "triage": self._triage(),
            "saving": None if self.saving is None else self.saving.as_json(),
            "critical_path": None if self.paths is None else self.paths.as_json(),
            "cost_unknown_tasks": figures.cost_unknown_tasks,
            "by_type": {group.name: _group(group) for group in total.by_type},
            "by_model": {group.name: _group(group) for group in total.by_model},
            "by_lane": {group.name: _group(group) for group in total.by_lane},
            "bound_by": self.bound_by,
            "held_back_s": {name: round(held, 3) for name, held in sorted(self.bound.items()) if held >= 0.001},
            "failures": [_failure(group) for group in total.failures],
            "whole_run": {
                "calls": total.calls,
                "retries": total.retries,
                "rate_limited": total.rate_limited,
                "timeouts": total.timeouts,
                "lost": total.outcomes.get(Outcome.LOST, 0),
                "cost_usd": _money(None if total.cost_unknown_tasks else total.cost_usd),
            },
        }


def _group(group: GroupFigures) -> dict[str, Any]:
    return {
        "tasks": group.tasks,
        "failed": group.failed,
        "p50_s": None if group.p50_s is None else round(group.p50_s, 4),
        "p95_s": None if group.p95_s is None else round(group.p95_s, 4),
        "cost_usd": _money(group.cost_usd),
    }


def _failure(group: FailureGroup) -> dict[str, Any]:
    return {
        "class": group.cls.value,
        "code": group.code,
        "tasks": group.tasks,
        "example": group.example_key or str(group.example_id),
        "message": group.message,
    }


def _money(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 8)
