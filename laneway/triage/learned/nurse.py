"""The model files that a config names under [triage], asked about many tasks at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.task import Urgency
from laneway.triage.learned.chooser import Chooser
from laneway.triage.learned.files import load
from laneway.triage.learned.labels import KINDS, Found, LabelModel
from laneway.triage.patient import Patient

COMPLEXITIES = ("low", "medium", "high")


class Expert(Protocol):
    """One kind of model file. ``field``: the name under which each patient's finding is kept."""

    @property
    def field(self) -> str: ...

    def find(self, patients: Sequence[Patient]) -> Sequence[Any]:
        """For each what its step makes use of; None where it abstains."""


class Nurse:
    """Raises ConfigError for a file that is not there, is of another kind or damaged."""

    def __init__(self, config: Config) -> None:
        self.experts: list[Expert] = []
        for kind in KINDS:
            if (path := getattr(config.triage, kind)) is not None:
                self.experts.append(Labeller(_label_model(config, kind, path)))
        if config.triage.model is not None:
            self.experts.append(Chooser(config, config.triage.model))

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """By field those that are found."""
        return {one.field: one.model.labels for one in self.experts if isinstance(one, Labeller)}

    def examine(self, patients: Sequence[Patient]) -> None:
        """Give each what was found of it (``patient.found``). Together this takes a tenth of one by one."""
        for patient in patients:
            patient.found = {}
        read = [patient for patient in patients if patient.needs_model and patient.text.strip()]
        for expert in self.experts if read else ():
            for patient, found in zip(read, expert.find(read), strict=True):
                if found is not None:
                    patient.found = {**(patient.found or {}), expert.field: found}


class Labelled(NamedTuple):
    label: str
    confidence: float
    reason: str


class Labeller:
    def __init__(self, model: LabelModel) -> None:
        self.field = model.kind
        self.model = model

    def find(self, patients: Sequence[Patient]) -> list[Labelled | None]:
        found = self.model.find([patient.text for patient in patients])
        return [None if one is None else Labelled(one.label, float(one.confidence), self._reason(one)) for one in found]

    def _reason(self, found: Found) -> str:
        sure = "needed with" if self.model.ordered else "sure at"
        words = f": {', '.join(found.words)}" if found.words else ""
        return f"learnt ({self.field} {self.model.id}), {sure} {found.confidence:.2f}{words}"


def _label_model(config: Config, kind: str, path: Any) -> LabelModel:
    try:
        model = LabelModel(load(config.folder / path, kind))
    except ConfigError as error:
        raise ConfigError(f"triage.{kind}: {error.message}", hint=error.hint) from None
    words = {"urgency": [one.label for one in Urgency], "complexity": COMPLEXITIES}.get(kind, model.labels)
    if odd := [label for label in model.labels if label not in words]:
        raise ConfigError(f"triage.{kind}: {config.folder / path} has the label {odd[0]!r}", hint="train it again")
    return model
