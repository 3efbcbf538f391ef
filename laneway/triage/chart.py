"""What is decided about one patient so far, and what every step of triage is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from laneway.task import Urgency
from laneway.triage.patient import Patient
from laneway.triage.urgency import by_text


class Finding(NamedTuple):
    """What a text suggests for a field, before the rules are asked. ``before``: of an urgency, what it would be
    otherwise; ``said``: what the text itself suggests."""

    by: Step
    value: Any
    reason: str
    confidence: float | None = None
    before: Urgency | None = None
    said: Urgency | None = None


@dataclass(slots=True)
class Chart:
    """``standing``: what it would be as things stand, findings and defaults included. ``up_to``: how far a text alone
    may raise the urgency, where a rule says so."""

    filled: dict[str, Any]
    why: dict[str, str]
    standing: dict[str, Any]
    refused: dict[str, str] = field(default_factory=dict)  # model → why not
    findings: dict[str, Finding] = field(default_factory=dict)
    up_to: Urgency | None = None
    confidence: float | None = None  # the least of those findings that were used

    def fill(self, name: str, value: Any, reason: str) -> None:
        if value is not None and name not in self.filled:
            self.filled[name] = self.standing[name] = value
            self.why[name] = reason

    def find(self, by: Step, name: str, value: Any, reason: str, confidence: float | None = None) -> None:
        """A category or complexity that a text suggests. The first to find one is believed."""
        if name not in self.filled and name not in self.findings:
            self.findings[name] = Finding(by, value, reason, confidence)
            self.standing[name] = value

    def find_urgency(self, by: Step, said: Urgency, reason: str, confidence: float | None = None) -> None:
        """The same of an urgency: a text raises it by one class at most, unless a rule allows more."""
        if "urgency" not in self.filled and "urgency" not in self.findings:
            before = self.standing["urgency"]
            value = by_text(before, said, self.up_to)
            self.findings["urgency"] = Finding(by, value, reason, confidence, before, said)
            self.standing["urgency"] = value

    def allow(self, up_to: Urgency) -> None:
        """A rule says how far a text may raise the urgency of this task. The first that does is obeyed."""
        if self.up_to is not None:
            return
        self.up_to = up_to
        found = self.findings.get("urgency")
        if found is not None and found.said is not None and found.before is not None:
            value = by_text(found.before, found.said, up_to)
            self.findings["urgency"] = found._replace(value=value)
            if "urgency" not in self.filled:
                self.standing["urgency"] = value

    def fill_found(self, by: Step) -> None:
        """What this step found, where nothing went before it."""
        for name, found in self.findings.items():
            if found.by is not by or name in self.filled:
                continue
            reason = found.reason
            if found.said is not None and found.value != found.said:
                reason += f" (says {found.said.label}; a text alone raises {self._how_far()})"
            self.fill(name, found.value, reason)
            self.sure(found.confidence)

    def _how_far(self) -> str:
        return "by one class" if self.up_to is None else f"up to {self.up_to.label} here"

    def sure(self, confidence: float | None) -> None:
        """Something was decided with this confidence."""
        if confidence is not None and (self.confidence is None or confidence < self.confidence):
            self.confidence = confidence


class Step:
    """One step of triage. Steps are asked in their order (``Triage``), each for what earlier ones left open."""

    def look(self, patient: Patient, chart: Chart) -> None:
        """Before anything but pins is filled: what the text suggests (``chart.find``), so that rules see it."""

    def fill(self, patient: Patient, chart: Chart) -> None:
        """Fill what is open (``chart.fill``, ``Models.take``), with the reason in words."""
        raise NotImplementedError
