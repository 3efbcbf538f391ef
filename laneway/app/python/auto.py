"""``lw.call("auto", …)``: triage chooses the model of a call that a running task makes, by its text and its size.

Each call is judged by itself; so one whose context has grown is judged again. Within a conversation (calls that begin
with the same messages) that goes upward only: what a stronger model has begun is not ended by a weaker one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from laneway.providers.model import Model
from laneway.store.asking import Judged
from laneway.task import Claimed, Route, Urgency
from laneway.triage.patient import Patient, Pins

if TYPE_CHECKING:
    from laneway.triage.pipeline import Triage

AUTO = "auto"
MOST_KEPT = 10_000  # conversations, of which the choice is remembered
BEGINNING = 2  # messages that tell a conversation: system and first question
_KINDS = {"image_url": "image", "image": "image", "file": "pdf", "document": "pdf"}


class Choice(NamedTuple):
    """``model``: of the route's, or the one that the conversation had before."""

    model: str
    tokens: int  # it was judged by
    route: Route

    def after(self, model: str) -> str | None:
        return self.route.after(model)


class Auto:
    def __init__(self, triage: Callable[[], Triage], model: Callable[[str], Model | None]) -> None:
        self._triage = triage
        self._model = model
        self._chosen: dict[tuple[int, bytes], Choice] = {}

    def choose(
        self, task: Claimed, messages: Sequence[Mapping[str, Any]], sizes: tuple[int, int], now: float
    ) -> tuple[Choice, Judged | None]:
        """The choice for a call, and what changed by it. Raises InputError where no model can take it."""
        key = task.id, hashlib.blake2b(orjson.dumps(list(messages[:BEGINNING])), digest_size=16).digest()
        before = self._chosen.get(key)
        patient = patient_of(task.spec.type, messages, sizes, task.lane, task.urgency, task.key)
        if before is not None and sizes[0] <= before.tokens:
            return before, None
        route = self._triage().assess(patient)
        choice = Choice(route.model, sizes[0], route)
        changed = None
        if before is not None and before.model != choice.model:
            outgrown = self._triage().refusal(before.model, patient) is not None or self._too_long(before.model, sizes)
            if not outgrown and not self._is_up(before.model, choice.model):
                choice = Choice(before.model, sizes[0], before.route)
            else:
                reason = f"the context has grown from {before.tokens:,} to {sizes[0]:,} tokens"
                changed = Judged(now, before.model, choice.model, reason)
        if len(self._chosen) >= MOST_KEPT:
            self._chosen.clear()
        self._chosen[key] = choice
        return choice, changed

    def _too_long(self, name: str, sizes: tuple[int, int]) -> bool:
        model = self._model(name)
        return model is not None and model.context_window is not None and sum(sizes) > model.context_window

    def _is_up(self, before: str, after: str) -> bool:
        """Whether it costs more, as far as is known."""
        prices = [_price(self._model(name)) for name in (before, after)]
        return prices[0] is not None and prices[1] is not None and prices[1] > prices[0]


def _price(model: Model | None) -> float | None:
    if model is None or model.input_price is None or model.output_price is None:
        return None
    return model.input_price + model.output_price


def patient_of(
    type_: str,
    messages: Sequence[Mapping[str, Any]],
    sizes: tuple[int, int],
    lane: str,
    urgency: Urgency,
    key: str | None,
) -> Patient:
    """A call's messages as triage sees them."""
    texts: list[str] = []
    kinds: set[str] = set()
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
        for part in parts:
            if isinstance(part, Mapping):
                kinds.add(_KINDS.get(str(part.get("type")), ""))
                if message.get("role") == "user":
                    texts.append(str(part.get("text") or ""))
    return Patient(
        type=type_,
        text="\n".join(texts),
        input_tokens=sizes[0],
        output_tokens=sizes[1],
        pins=Pins(lane, urgency, None, "its task"),
        attachments=frozenset(kinds - {""}),
        key=key,
    )
