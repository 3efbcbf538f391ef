"""Hard filters: why a model cannot take a task at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from laneway.config.models import Config
from laneway.providers.formats import Abilities, abilities
from laneway.triage.patient import Patient

Fits = Callable[[str, Patient], str | None]
NAMES = {"image": "images", "pdf": "PDF documents"}
SURELY_TOO_LONG = 2.0  # times the window: an estimate of tokens may be off by as much
MOST_MODELS = 1_000  # remembered: without configured models a batch may name any id


class Reason(NamedTuple):
    """In words that are the same for many tasks, so that their routes can be the same object."""

    text: str


class Filters:
    """What each model takes, worked out once. ``fits``: one more filter, asked last."""

    def __init__(self, config: Config, fits: Fits | None = None) -> None:
        self.config = config
        self._fits = fits
        self._abilities: dict[str, Abilities] = {}

    def abilities(self, model: str) -> Abilities:
        """What a model takes, by its formats and kinds of input."""
        known = self._abilities.get(model)
        if known is None:
            if len(self._abilities) >= MOST_MODELS:
                self._abilities.clear()
            known = self._abilities[model] = abilities(self.config, model)
        return known

    def cannot(self, model: str, patient: Patient, *, pinned: bool = False) -> Reason | None:
        """Why this model cannot take this task, or None. A pinned model gets the benefit of the doubt: a length near
        its window is an estimate, and the provider knows better."""
        if model in patient.unsupported_by:
            return Reason("it does not take this request's format")
        able = self.abilities(model)
        if what := able.refuses(patient.refused_by):
            return Reason(what)
        if patient.attachments:
            missing = patient.attachments - able.inputs - ({"pdf"} if patient.pdf_as_text else set())
            if missing:
                return Reason("it takes no " + " and no ".join(NAMES.get(kind, kind) for kind in sorted(missing)))
        window = able.context_window
        if window is not None:
            allowed = window * SURELY_TOO_LONG if pinned else window
            if patient.input_tokens + patient.output_tokens > allowed:
                return Reason(f"the request and its answer are longer than its window of {window:,} tokens")
        if self._fits is not None and (why := self._fits(model, patient)):
            return Reason(why)
        return None


def inputs_of(model: str, config: Config) -> frozenset[str]:
    """What a model takes, of "text", "image", "pdf": as configured, else what all its accounts' providers take."""
    return abilities(config, model).inputs
