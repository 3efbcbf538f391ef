"""Anthropic Messages: requests out, answers in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from laneway.providers.chat import complain
from laneway.providers.model import Model
from laneway.task import Spec, Usage

VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 4096  # the API requires a number


def request(body: bytes, model: Model, spec: Spec, *, complaint: str | None = None) -> dict[str, Any]:
    """The body to send, from a task's body in the Messages format."""
    return finish(orjson.loads(body), model, spec, complaint)


def finish(data: dict[str, Any], model: Model, spec: Spec, complaint: str | None) -> dict[str, Any]:
    """Lay the model's params under a Messages body and add what the type asks for."""
    for name, value in model.params.items():
        data.setdefault(name, value)
    data["model"] = model.id
    data.setdefault("max_tokens", DEFAULT_MAX_TOKENS)
    if spec.output_schema is not None and "output_config" not in data:
        data["output_config"] = {"format": {"type": "json_schema", "schema": dict(spec.output_schema)}}
    if complaint:
        data["messages"] = [*data["messages"], {"role": "user", "content": complain(complaint)}]
    return data


def usage(answer: Mapping[str, Any]) -> Usage | None:
    """Tokens as counted by the provider; its input_tokens leave out what was read from or written to the cache."""
    said = answer.get("usage")
    if not isinstance(said, Mapping):
        return None
    read = int(said.get("cache_read_input_tokens") or 0)
    written = int(said.get("cache_creation_input_tokens") or 0)
    return Usage(int(said.get("input_tokens") or 0) + read + written, int(said.get("output_tokens") or 0), read)
