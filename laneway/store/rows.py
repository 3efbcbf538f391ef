"""Rows of both stores as objects. JSON columns may come as text or as what it says."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from laneway.store.figures import GroupFigures, PastCall
from laneway.store.results import Result
from laneway.store.views import TaskLine
from laneway.task import Attempt, Outcome, Route, Spec, State, Task, Urgency, Usage, WaitReason, is_flow, needs_account


def parsed(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str) else value


# tasks ----------------------------------------------------------------------------------------------------------------
TASK = (
    "t.id, t.run_id, t.key, t.state, t.wait_reason, t.wake_at, c.model, c.lane, c.urgency, t.attempts, t.due_at,"
    " p.submitted_at, p.deadline, p.tags, p.team, p.body, p.record, r.settled_at, r.output, r.error, t.input_tokens,"
    " t.output_tokens, t.twin_id, p.spec_id, p.route_id"
)


def task_of(row: Sequence[Any], spec: Spec, route: Route) -> Task:
    """``row``: the columns of ``TASK``."""
    (id_, run, key, state, reason, wake, model, lane, urgency, attempts, due, submitted, deadline, tags, team) = row[
        :15
    ]
    body, record, settled, output, error, input_tokens, output_tokens, twin = row[15:23]
    return Task(
        id=id_,
        run_id=run,
        key=key,
        type=spec.type,
        wire=spec.wire,
        state=State(state),
        wait_reason=WaitReason(reason) if reason else None,
        wake_at=wake,
        model=model,
        lane=lane,
        urgency=Urgency(urgency),
        route=route,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        attempts=attempts,
        submitted_at=submitted,
        due_at=due,
        deadline=deadline,
        settled_at=settled,
        tags=tuple(parsed(tags)) if tags else (),
        team=team,
        body=body,
        record=record,
        output=output,
        error=parsed(error) if error else None,
        twin_id=twin,
        checked=spec.output_schema is not None or bool(spec.checks),
    )


# tasks in lists -------------------------------------------------------------------------------------------------------
TASK_LINE = (
    "t.id, t.run_id, t.key, t.state, t.wait_reason, t.wake_at, c.model, c.lane, c.urgency, p.tags, p.team,"
    " t.attempts, p.submitted_at, t.due_at, p.deadline, r.settled_at, r.cost, r.error"
)


def line_of(row: Sequence[Any], cost: float | None = None) -> TaskLine:
    """``row``: type, and the columns of ``TASK_LINE``. ``cost``: where it is not the result's."""
    type_, id_, run_id, key, state, reason, wake_at, model, lane, urgency, tags, team, attempts = row[:13]
    submitted_at, due_at, deadline, settled_at, known_cost, error = row[13:]
    return TaskLine(
        id=id_,
        run_id=run_id,
        key=key,
        type=type_,
        state=State(state),
        wait_reason=WaitReason(reason) if reason else None,
        wake_at=wake_at,
        model="" if is_flow(model) else model,
        lane=lane,
        urgency=Urgency(urgency),
        tags=tuple(parsed(tags)) if tags else (),
        team=team,
        attempts=attempts,
        submitted_at=submitted_at,
        due_at=due_at,
        deadline=deadline,
        settled_at=settled_at,
        cost=known_cost if cost is None else cost,
        error=parsed(error) if error else None,
    )


# the ledger -----------------------------------------------------------------------------------------------------------
ATTEMPT = (
    "task_id, fence, call, model, account, started_at, reserved_cost, outcome, latency, input_tokens, output_tokens,"
    " cached_tokens, input_price, output_price, cost, error"
)


def attempt_of(row: Sequence[Any]) -> Attempt:
    """``row``: the columns of ``ATTEMPT``."""
    return Attempt(
        task_id=row[0],
        fence=row[1],
        call=row[2],
        model=row[3],
        account=row[4],
        started_at=row[5],
        reserved_cost=row[6],
        outcome=Outcome(row[7]) if row[7] else None,
        latency=row[8],
        usage=None if row[9] is None else Usage(row[9], row[10], row[11]),
        input_price=row[12],
        output_price=row[13],
        cost=row[14],
        error=parsed(row[15]) if row[15] else None,
    )


def past_call_of(row: Sequence[Any], spec: Spec) -> PastCall:
    """``row``: model, spec, account, outcome, started at, latency, estimated input tokens, and those of its usage."""
    return PastCall(
        model=row[0],
        type=spec.type,
        account=row[2],
        outcome=Outcome(row[3]),
        started_at=row[4],
        latency=row[5],
        input_tokens=row[6],
        usage=None if row[7] is None else Usage(*row[7:]),
    )


# answers that were put aside ------------------------------------------------------------------------------------------
class Kept(NamedTuple):
    model: str
    output: bytes


def kept_of(complaint: str) -> Kept | None:
    """The answer that a complaint holds as ``{"kept": {"model", "output"}}``, None where it holds none."""
    try:
        kept = orjson.loads(complaint)["kept"]
        return Kept(str(kept["model"]), str(kept["output"]).encode())
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None


# results --------------------------------------------------------------------------------------------------------------
RESULT = (
    "r.seq, t.id, t.key, t.state, c.model, p.record, r.output, r.error, r.cost, r.settled_at, r.request_id,"
    " length(p.body) = 0, p.spec_id"
)


def result_of(row: Sequence[Any], spec: Spec) -> Result:
    """``row``: the columns of ``RESULT``."""
    return Result(
        seq=row[0],
        task_id=row[1],
        key=row[2],
        type=spec.type,
        wire=spec.wire,
        state=State(row[3]),
        model=row[4],
        record=row[5],
        output=row[6],
        error=parsed(row[7]) if row[7] else None,
        cost=row[8],
        settled_at=row[9],
        request_id=row[10],
        pruned=bool(row[11]),
        schema=spec.output_schema,
    )


def with_costs(results: list[Result], costs: Callable[[list[int]], Iterable[tuple[Any, Any]]]) -> list[Result]:
    """What runs code of the app has no model, and costs what it called and began: ``costs`` of task ids."""
    ids = [one.task_id for one in results if not needs_account(one.model)]
    if not ids:
        return results
    known: dict[int, float | None] = dict(costs(ids))
    of_code = set(ids)
    return [
        one._replace(model="", cost=known.get(one.task_id, one.cost)) if one.task_id in of_code else one
        for one in results
    ]


# a run's figures by group ---------------------------------------------------------------------------------------------
class _Group:
    def __init__(self) -> None:
        self.tasks = self.failed = 0
        self.cost = 0.0
        self.unknown = False
        self.latencies = array("d")

    def add(self, state: str, cost: float | None, latency: float | None) -> None:
        self.tasks += 1
        self.failed += state == "failed"
        if cost is not None:
            self.cost += cost
        elif state == "succeeded":
            self.unknown = True
        if latency is not None:
            self.latencies.append(latency)

    def figures(self, name: str) -> GroupFigures:
        ordered = sorted(self.latencies)
        p50, p95 = (percentile(ordered, share) for share in (0.5, 0.95))
        return GroupFigures(name, self.tasks, self.failed, p50, p95, None if self.unknown else self.cost)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted values; None when there are none."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def grouped(
    rows: Iterable[tuple[str, str, str, str, float | None, float | None]],
    called: Iterable[tuple[str, str, float | None, float | None]] = (),
) -> dict[str, tuple[GroupFigures, ...]]:
    """Figures by ``type``, ``model`` and ``lane`` of (type, model, lane, state, cost, latency). ``called``: by tasks
    that have no model of their own: (model, the task's state, cost, latency), once for each such task and model."""
    by: dict[str, dict[str, _Group]] = {name: defaultdict(_Group) for name in ("type", "model", "lane")}
    for type_, model, lane, state, cost, latency in rows:
        by["type"][type_].add(state, cost, latency)
        if needs_account(model):
            by["model"][model].add(state, cost, latency)
        by["lane"][lane].add(state, cost, latency)
    for model, state, cost, latency in called:
        by["model"][model].add(state, cost, latency)
    return {name: tuple(group.figures(key) for key, group in sorted(groups.items())) for name, groups in by.items()}
