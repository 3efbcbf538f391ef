"""What a request and its answer tell: parameters always, words only where they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from laneway.task import Wire
from laneway.telemetry import names

Attributes = dict[str, str | int | float | bool | Sequence[str]]
LARGEST = 1_000_000  # bytes of a body that is read for its parameters; larger ones hold files
LONGEST = 50_000  # characters of content in one attribute


def read(body: bytes | None) -> Mapping[str, Any]:
    """{} for what is too large or no table."""
    if not body or len(body) > LARGEST:
        return {}
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def parameters(request: Mapping[str, Any], params: Mapping[str, Any]) -> Attributes:
    """``params``: the model's, which lie under the request's own."""
    found: Attributes = {}
    for name, value in {**params, **request}.items():
        attribute = names.PARAMETERS.get(name)
        if attribute is not None and isinstance(value, int | float) and not isinstance(value, bool):
            found[attribute] = value
    if request.get("stream") is True:
        found[names.REQUEST_STREAM] = True
    return found


def answered(wire: Wire, answer: Mapping[str, Any]) -> Attributes:
    found: Attributes = {}
    for name, attribute in (("model", names.RESPONSE_MODEL), ("id", names.RESPONSE_ID)):
        if isinstance(value := answer.get(name), str):
            found[attribute] = value
    if reasons := _reasons(wire, answer):
        found[names.FINISH_REASONS] = reasons
    return found


def _reasons(wire: Wire, answer: Mapping[str, Any]) -> list[str]:
    match wire:
        case Wire.CHAT:
            said = [choice.get("finish_reason") for choice in answer.get("choices") or [] if isinstance(choice, dict)]
        case Wire.MESSAGES:
            said = [answer.get("stop_reason")]
        case Wire.RESPONSES:
            said = [answer.get("status")]
        case Wire.EMBEDDINGS | Wire.PYTHON:
            said = []
    return [reason for reason in said if isinstance(reason, str)]


def words(request: Mapping[str, Any], wire: Wire, answer: Mapping[str, Any], clean: Callable[[str], str]) -> Attributes:
    """Prompts and the answer, in the conventions' form: messages of a role with parts. What is no text is left out."""
    found: Attributes = {}
    system, messages = request.get("system") or request.get("instructions"), request.get("messages")
    if messages is None and isinstance(given := request.get("input"), str | list):
        messages = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if system:
        found[names.SYSTEM_INSTRUCTIONS] = _said(_parts(system), clean)
    if isinstance(messages, list):
        said = [_message(one) for one in messages if isinstance(one, dict)]
        found[names.INPUT_MESSAGES] = _said(said, clean)
    if out := _output(wire, answer):
        found[names.OUTPUT_MESSAGES] = _said(out, clean)
    return found


def _output(wire: Wire, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    match wire:
        case Wire.CHAT:
            choices = [choice for choice in answer.get("choices") or [] if isinstance(choice, dict)]
            return [
                {**_message(choice.get("message") or {}), "finish_reason": choice.get("finish_reason")}
                for choice in choices
            ]
        case Wire.MESSAGES:
            return [{**_message(answer), "finish_reason": answer.get("stop_reason")}] if answer.get("content") else []
        case Wire.RESPONSES:
            items = [item for item in answer.get("output") or [] if isinstance(item, dict)]
            return [_message(item) for item in items if item.get("type") == "message"]
        case Wire.EMBEDDINGS | Wire.PYTHON:
            return []


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    return {"role": str(message.get("role") or "assistant"), "parts": _parts(message.get("content"))}


def _parts(content: object) -> list[dict[str, str]]:
    if isinstance(content, str):
        return [{"type": "text", "content": content}]
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return [{"type": "text", "content": text} for text in texts if isinstance(text, str)]


def _said(value: object, clean: Callable[[str], str]) -> str:
    text = clean(orjson.dumps(value).decode())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
