"""A finished Chat Completions answer as the chunks of a stream (OpenAI API reference, "The chat completion chunk")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson


def chunks(answer: Mapping[str, Any], *, with_usage: bool) -> Iterator[bytes]:
    """Server-sent events, the last one ``[DONE]``."""
    head = {
        "id": answer.get("id", ""),
        "object": "chat.completion.chunk",
        "created": answer.get("created", 0),
        "model": answer.get("model", ""),
    }
    if answer.get("system_fingerprint"):
        head["system_fingerprint"] = answer["system_fingerprint"]
    for choice in answer.get("choices") or ():
        index = choice.get("index", 0)
        yield _event({**head, "choices": [_part(index, _delta(choice.get("message") or {}), choice)]})
        yield _event({**head, "choices": [{**_part(index, {}, {}), "finish_reason": choice.get("finish_reason")}]})
    if with_usage:
        yield _event({**head, "choices": [], "usage": answer.get("usage")})
    yield b"data: [DONE]\n\n"


def _part(index: int, delta: Mapping[str, Any], choice: Mapping[str, Any]) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}


def _delta(message: Mapping[str, Any]) -> dict[str, Any]:
    delta = {name: value for name, value in message.items() if value is not None}
    if calls := delta.get("tool_calls"):
        delta["tool_calls"] = [{"index": at, **call} for at, call in enumerate(calls)]
    return delta


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
