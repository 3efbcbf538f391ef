"""Hard filters: why a model cannot take a task at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from laneway.config.models import Config
from laneway.triage.patient import Patient

Fits = Callable[[str, Patient], str | None]
SURELY_TOO_LONG = 2.0  # times the window: an estimate of tokens may be off by as much


class Reason(NamedTuple):
    """In words that are the same for many tasks, so that their routes can be the same object."""

    text: str


def cannot(model: str, patient: Patient, config: Config, fits: Fits | None, *, pinned: bool = False) -> Reason | None:
    """Why this model cannot take this task, or None. A pinned model gets the benefit of the doubt: a length near its
    window is an estimate, and the provider knows better."""
    if model in patient.unsupported_by:
        return Reason("it does not take this request's format")
    settings = config.models.get(model)
    window = settings.context_window if settings else None
    if window is not None:
        allowed = window * SURELY_TOO_LONG if pinned else window
        if patient.input_tokens + patient.output_tokens > allowed:
            return Reason(f"the request and its answer are longer than its window of {window:,} tokens")
    if fits is not None and (why := fits(model, patient)):
        return Reason(why)
    return None
