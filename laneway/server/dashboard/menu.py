"""All pages, and the way to them."""

from __future__ import annotations

from laneway.server.dashboard.accounts import ACCOUNT, ACCOUNTS
from laneway.server.dashboard.audit import AUDIT
from laneway.server.dashboard.failures import FAILURES, RETRY
from laneway.server.dashboard.flow import FLOW
from laneway.server.dashboard.flows import FLOWS
from laneway.server.dashboard.lanes import LANE, LANES
from laneway.server.dashboard.models import MODELS
from laneway.server.dashboard.overview import OVERVIEW
from laneway.server.dashboard.page import Page
from laneway.server.dashboard.run import RUN
from laneway.server.dashboard.runs import RUNS
from laneway.server.dashboard.task import TASK, TEXT
from laneway.server.dashboard.task_types import TYPES
from laneway.server.dashboard.tasks import TASKS
from laneway.server.dashboard.triage import TRIAGE
from laneway.server.dashboard.workers import WORKERS

MENU = (
    ("/", "Overview"),
    ("/lanes", "Lanes"),
    ("/accounts", "Accounts"),
    ("/models", "Models"),
    ("/types", "Types"),
    ("/workers", "Workers"),
    ("/tasks", "Tasks"),
    ("/failures", "Failures"),
    ("/runs", "Runs"),
    ("/flows", "Flows"),
    ("/triage", "Triage"),
    ("/audit", "Audit"),
)
PAGES: tuple[Page, ...] = (
    OVERVIEW,
    LANES,
    LANE,
    ACCOUNTS,
    ACCOUNT,
    MODELS,
    TYPES,
    WORKERS,
    FAILURES,
    RETRY,
    TASKS,
    TEXT,
    TASK,
    RUNS,
    RUN,
    FLOWS,
    FLOW,
    TRIAGE,
    AUDIT,
)
