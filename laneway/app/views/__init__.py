"""Figures as the API and the pages show them: each takes the app and whose they are, and reads counters, no rows."""

from __future__ import annotations

from laneway.app.views.accounts import accounts
from laneway.app.views.failures import failures
from laneway.app.views.kinds import models, types
from laneway.app.views.lanes import lanes
from laneway.app.views.overview import overview
from laneway.app.views.runs import runs
from laneway.app.views.triage import triage
from laneway.app.views.workers import workers

__all__ = ["accounts", "failures", "lanes", "models", "overview", "runs", "triage", "types", "workers"]
