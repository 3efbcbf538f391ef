"""Anthropic Messages: requests out, answers in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laneway.providers.answers.complaints import Complaint, with_complaint
from laneway.providers.model import Model
from laneway.task import Usage

VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 16_000  # the API requires a number; all current models take this, thinking included


def finish(data: dict[str, Any], model: Model, *, complaint: Complaint | None = None) -> dict[str, Any]:
    """Put the model's id into a Messages body, lay its params under and add what is said of the last answer."""
    for name, value in model.params.items():
        data.setdefault(name, value)
    data["model"] = model.id
    data.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    data["messages"] = with_complaint(data["messages"], complaint)
    return data


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """Tokens as counted by the provider; its input_tokens leave out what was read from or written to the cache."""
    said = answer.get("usage")
    if not isinstance(said, Mapping):
        return None
    read = int(said.get("cache_read_input_tokens") or 0)
    written = int(said.get("cache_creation_input_tokens") or 0)
    fresh = int(said.get("input_tokens") or 0)
    return Usage(fresh + read + written, int(said.get("output_tokens") or 0), read, written)
