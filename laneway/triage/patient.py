"""What the nurse sees of a task before it has a route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laneway.task import Urgency, Wire


@dataclass(frozen=True, slots=True)
class Pins:
    """What the submitter has fixed. A pinned field is never changed by triage."""

    lane: str | None = None
    urgency: Urgency | None = None
    model: str | None = None
    by: str = "the task"  # who fixed it, for the explanation: "the task", "--model", …
    asked: str | None = None  # not fixed: the model that the request itself names, taken where nothing else says one


@dataclass(slots=True)
class Patient:
    type: str
    text: str  # what a person or document says in it, without the template's own words where these are known
    input_tokens: int  # estimate, of the whole request
    pins: Pins = Pins()
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)  # the record's columns
    needs_model: bool = True  # False for Python tasks, which choose for themselves
    output_tokens: int = 0
    refused_by: Mapping[Wire, str] = field(default_factory=dict)  # formats that cannot carry it: what of it
    attachments: frozenset[str] = frozenset()  # of "image", "pdf"
    pdf_as_text: bool = False  # its PDF may go as extracted text to a model that takes none
    unsupported_by: frozenset[str] = frozenset()  # models that cannot take this request (format, tools)
    key: str | None = None
    team: str | None = None
    said: Mapping[str, str] = field(default_factory=dict)  # what the classifier said of it: field → label
    found: Mapping[str, Any] | None = None  # by the model files, by field; None: not asked yet
