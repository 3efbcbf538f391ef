"""What this API answers, as OpenAPI describes it."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from laneway.store.webhooks import HookState
from laneway.task import State, WaitReason

T = TypeVar("T")


class ErrorOf(BaseModel):
    """Why a task failed. `class` is one of few; `code` the provider's own word where it has one."""

    model_config = {"extra": "allow"}
    message: str | None = None
    code: str | None = None


class TaskLine(BaseModel):
    """A task in a list: without its answer. Times are seconds since 1970."""

    id: int
    key: str | None
    state: State
    type: str
    model: str
    lane: str
    urgency: str
    run_id: int
    tags: list[str]
    submitted_at: float
    due_at: float
    wake_at: float | None
    wait_reason: WaitReason | None
    attempts: int
    settled_at: float | None
    cost_usd: float | None
    error: dict[str, Any] | None


class WebhookState(BaseModel):
    """How far it has come that `to` is told of the end: `waiting` for the end, `pending` (the next delivery is at
    `next_at`), `delivered` or `given_up` at `done_at`. `to` is without the path, `attempts` of the latest end."""

    to: str
    state: HookState
    attempts: int
    next_at: float | None
    done_at: float | None
    last_error: str | None


class TaskAnswer(TaskLine):
    """`output`: parsed where JSON was asked for, else text; null until it has succeeded, or when it was pruned.
    `webhook`: the one that was asked for last."""

    deadline: float | None
    output: Any = None
    pruned: bool
    webhook: WebhookState | None


class Page(BaseModel, Generic[T]):
    """`next`: the cursor of what comes behind; null: nothing does. A page may be empty and have one."""

    data: list[T]
    next: int | None


class Everything(BaseModel, Generic[T]):
    data: list[T]


class Taken(BaseModel):
    """`ids`: in the order of the tasks. `known`: by their keys; `again`: known, and tried again after a failure."""

    ids: list[int]
    new: int
    known: int
    again: int


class Changed(BaseModel):
    """`changed`: of how many tasks something was."""

    changed: int


class Selected(BaseModel):
    """`states`: of the tasks that were found. With `dry_run` nothing was changed."""

    matched: int
    states: dict[str, int]
    changed: int
    dry_run: bool


class Held(BaseModel):
    """Whether it was otherwise before."""

    kind: str
    name: str
    paused: bool
    changed: bool


class RunAnswer(BaseModel):
    """`tasks`: by state. `info`: what was kept about it when it began."""

    id: int
    kind: str | None
    name: str
    team: str | None
    sealed: bool
    created_at: float
    tasks: dict[str, int]
    spent_usd: float
    max_cost_usd: float | None
    paused: bool


class ResultLine(BaseModel):
    seq: int
    task: int
    key: str | None
    type: str
    state: State
    model: str
    output: Any = None
    error: dict[str, Any] | None
    cost_usd: float | None
    settled_at: float
    pruned: bool


class Done(BaseModel):
    ok: bool = True


class Draining(BaseModel):
    worker: str
    draining: bool


class LimitsSet(BaseModel):
    """Limits of a lane or an account. `configured`: what the config says; `set`: what is set instead, and by whom."""

    kind: str
    name: str
    configured: dict[str, float | None]
    set: dict[str, float]
    set_by: str | None
    set_at: float | None


class Said(BaseModel):
    """One call. `outcome`: running until it has ended."""

    number: int
    model: str
    account: str
    outcome: str
    started_at: float
    latency_s: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    error: dict[str, Any] | None


class Explained(BaseModel):
    """As `laneway explain --json`."""

    id: int
    key: str | None
    run_id: int
    type: str
    state: State
    wait_reason: WaitReason | None
    wake_at: float | None
    deadline: float | None
    twin: int | None
    model: str
    route: dict[str, Any]
    error: dict[str, Any] | None
    attempts: list[Said]
    diverted: list[dict[str, Any]]
    budgets: list[dict[str, Any]]
    content: str
    feedback: list[dict[str, Any]]
    classifier: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    limits_set: list[dict[str, Any]]
    webhooks: list[WebhookState]
    flow: dict[str, Any] | None = None


class Tree(BaseModel):
    """A task with what it began; `more_children`: by state, of those that are left out."""

    task: int
    name: str
    type: str
    flow: bool
    state: State
    wait_reason: WaitReason | None
    model: str | None
    submitted_at: float
    started_at: float | None
    settled_at: float | None
    seconds: float | None
    cost_usd: float
    orphaned: bool
    children: list[Tree]
    more_children: dict[str, int]
    partial: bool = False  # of the whole tree: there are more tasks than were looked at
