"""OpenAI Chat Completions: requests out, answers in. Bodies pass through untouched where nothing needs to change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from laneway.providers.answers.complaints import Complaint, with_complaint
from laneway.providers.model import Model
from laneway.task import Usage, Wire

_WANTS_COMPLETION_TOKENS = re.compile(r"(^|/)(o[1-9]|gpt-([5-9]|[12]\d)(?!\d))")  # OpenAI's from 2025 refuse max_tokens


def finish(data: dict[str, Any], model: Model, *, complaint: Complaint | None = None) -> dict[str, Any]:
    """Put the model's id into a Chat Completions body, lay its params under and add what is said of the last answer."""
    for name, value in model.params.items():
        data.setdefault(name, value)
    data["model"] = model.id
    if "max_tokens" in data and _WANTS_COMPLETION_TOKENS.search(model.id):
        data.setdefault("max_completion_tokens", data.pop("max_tokens"))
    data["messages"] = with_complaint(data["messages"], complaint)
    return data


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """Tokens as the provider counted them, None when it did not say."""
    said = answer.get("usage")
    if not isinstance(said, Mapping):
        return None
    details = said.get("prompt_tokens_details")
    details = details if isinstance(details, Mapping) else {}
    return Usage(
        int(said.get("prompt_tokens") or 0),
        int(said.get("completion_tokens") or 0),
        int(details.get("cached_tokens") or 0),
        int(details.get("cache_write_tokens") or 0),
    )


def answer_text(wire: Wire, output: bytes) -> str:
    """The text of an answer in a task's wire format ("" when it has none)."""
    answer = orjson.loads(output)
    match wire:
        case Wire.CHAT:
            choices = answer.get("choices") or [{}]
            content = (choices[0].get("message") or {}).get("content")
            return content if isinstance(content, str) else ""
        case Wire.MESSAGES:
            parts = answer.get("content") or []
            return "".join(part.get("text", "") for part in parts if part.get("type") == "text")
        case Wire.RESPONSES:
            items = [item for item in answer.get("output") or [] if item.get("type") == "message"]
            parts = [part for item in items for part in item.get("content") or []]
            return "".join(part.get("text", "") for part in parts if part.get("type") == "output_text")
        case Wire.EMBEDDINGS:
            return orjson.dumps([item["embedding"] for item in answer.get("data") or []]).decode()
        case Wire.PYTHON:
            return answer if isinstance(answer, str) else output.decode()


def was_cut(wire: Wire, output: bytes) -> bool:
    """Whether an answer ended because it had used up its tokens."""
    answer = orjson.loads(output)
    if wire is Wire.MESSAGES:
        return bool(answer.get("stop_reason") == "max_tokens")
    if wire is Wire.RESPONSES:
        return bool(answer.get("status") == "incomplete")
    return bool((answer.get("choices") or [{}])[0].get("finish_reason") == "length")


def asked_text(wire: Wire, body: bytes) -> str:
    """The text of the last thing that a user says in a body ("" when it has none)."""
    data = orjson.loads(body)
    turns = data.get("input" if wire is Wire.RESPONSES else "messages")
    if isinstance(turns, str):
        return turns
    for turn in reversed(turns or []):
        if turn.get("role") == "user":
            content = turn.get("content")
            parts = [] if isinstance(content, str) else content or []
            return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in parts)
    return ""
