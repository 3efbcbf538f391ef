"""The provider formats that the simulator speaks: what a request asks for, what an answer and an error look like."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from laneway.simulator.limits import KeyLimits, Refusal

CHARS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """What matters of a request. ``schema``: the JSON Schema of a structured answer; True: any JSON object."""

    kind: str  # chat, responses, embeddings, messages
    model: str
    text: str
    max_tokens: int | None
    schema: Any = None
    stream: bool = False
    inputs: int = 1  # of embeddings

    @property
    def input_tokens(self) -> int:
        """Four characters a token and three for framing."""
        return math.ceil(len(self.text) / CHARS_PER_TOKEN) + 3


PATHS = {"chat/completions": "chat", "responses": "responses", "embeddings": "embeddings", "messages": "messages"}


def understand(kind: str, body: Any) -> Ask:
    """Raises ValueError in words that the client is told."""
    if not isinstance(body, Mapping):
        raise ValueError("the body is not a JSON object")  # noqa: TRY004 - the client's fault, as all the others
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise ValueError("you must provide a model parameter")
    if kind in ("chat", "messages"):
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise ValueError("'messages' is missing or empty")
        text = str(body.get("system", "")) + "".join(_content(message) for message in messages)
        limit = body.get("max_completion_tokens", body.get("max_tokens"))
        if kind == "messages" and not isinstance(limit, int):
            raise ValueError("max_tokens: field required")
    elif kind == "responses":
        given = body.get("input")
        if not given:
            raise ValueError("'input' is missing")
        items = given if isinstance(given, list) else [{"content": given}]
        text = str(body.get("instructions", "")) + "".join(_content(item) for item in items)
        limit = body.get("max_output_tokens")
    else:
        given = body.get("input")
        if not given:
            raise ValueError("'input' is missing")
        texts = given if isinstance(given, list) else [given]
        return Ask(kind, model, "".join(map(str, texts)), 0, inputs=len(texts))
    return Ask(kind, model, text, limit, _schema(kind, body), bool(body.get("stream")))


def _content(message: Any) -> str:
    content = message.get("content", "") if isinstance(message, Mapping) else message
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return str(content or "")


def _schema(kind: str, body: Mapping[str, Any]) -> Any:
    if kind == "chat":
        wanted = body.get("response_format") or {}
        wanted = wanted.get("json_schema", wanted) if wanted.get("type") == "json_schema" else wanted
    elif kind == "responses":
        wanted = (body.get("text") or {}).get("format") or {}
    else:
        wanted = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    if wanted.get("schema") is not None:
        return wanted["schema"]
    return True if wanted.get("type") == "json_object" else None


def answer(ask: Ask, number: int, text: str, output_tokens: int, cut: bool, now: float) -> dict[str, Any]:
    """A whole answer, shaped like the provider's."""
    used = ask.input_tokens
    if ask.kind == "chat":
        return {
            "id": f"chatcmpl-sim{number}",
            "object": "chat.completion",
            "created": int(now),
            "model": ask.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "length" if cut else "stop",
                }
            ],
            "usage": {
                "prompt_tokens": used,
                "completion_tokens": output_tokens,
                "total_tokens": used + output_tokens,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
            "system_fingerprint": "fp_simulated",
        }
    if ask.kind == "messages":
        return {
            "id": f"msg_sim{number}",
            "type": "message",
            "role": "assistant",
            "model": ask.model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "max_tokens" if cut else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": used,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": output_tokens,
            },
        }
    if ask.kind == "responses":
        part = {"type": "output_text", "text": text, "annotations": []}
        message = {
            "type": "message",
            "id": f"msg_sim{number}",
            "status": "completed",
            "role": "assistant",
            "content": [part],
        }
        return {
            "id": f"resp_sim{number}",
            "object": "response",
            "created_at": int(now),
            "status": "incomplete" if cut else "completed",
            "model": ask.model,
            "output": [message],
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "usage": {
                "input_tokens": used,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": output_tokens,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": used + output_tokens,
            },
        }
    vector = [round(math.sin(number + i), 6) for i in range(8)]
    data = [{"object": "embedding", "index": i, "embedding": vector} for i in range(ask.inputs)]
    return {"object": "list", "data": data, "model": ask.model, "usage": {"prompt_tokens": used, "total_tokens": used}}


def chunks(ask: Ask, whole: Mapping[str, Any], text: str) -> list[tuple[str, dict[str, Any]]]:
    """The (event, data) pairs of a streamed answer."""
    parts = [text[i : i + 40] for i in range(0, len(text), 40)]
    if ask.kind == "messages":
        opened = {**whole, "content": [], "stop_reason": None}
        block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        events: list[tuple[str, dict[str, Any]]] = [
            ("message_start", {"type": "message_start", "message": opened}),
            ("content_block_start", block),
        ]
        for part in parts:
            delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": part}}
            events.append(("content_block_delta", delta))
        ended = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
        usage = {"output_tokens": whole["usage"]["output_tokens"]}
        events.append(("content_block_stop", {"type": "content_block_stop", "index": 0}))
        events.append(("message_delta", {"type": "message_delta", "delta": ended, "usage": usage}))
        events.append(("message_stop", {"type": "message_stop"}))
        return events
    base = {**whole, "object": "chat.completion.chunk"}
    base.pop("usage", None)

    def chunk(delta: Mapping[str, Any], finish: str | None) -> tuple[str, dict[str, Any]]:
        return "", {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    events = [chunk({"role": "assistant", "content": ""}, None)]
    events += [chunk({"content": part}, None) for part in parts]
    events.append(chunk({}, whole["choices"][0]["finish_reason"]))
    events.append(("", {**base, "choices": [], "usage": whole["usage"]}))
    return events


def error(kind: str, status: int, type_: str, code: str | None, message: str) -> dict[str, Any]:
    """An error body shaped like the provider's."""
    if kind == "messages":
        return {"type": "error", "error": {"type": type_, "message": message}}
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def limit_headers(kind: str, limits: KeyLimits, now: float) -> dict[str, str]:
    """What the buckets hold, in the provider's own header names."""
    headers = {}
    for name, bucket in limits.buckets.items():
        bucket.refill(now)
        reset = (bucket.capacity - bucket.level) / (bucket.per_minute / 60)
        left = str(max(0, math.floor(bucket.level)))
        if kind == "messages":
            prefix = f"anthropic-ratelimit-{name.replace('_', '-')}-"
            headers[prefix + "limit"] = str(round(bucket.per_minute))
            headers[prefix + "remaining"] = left
            headers[prefix + "reset"] = datetime.fromtimestamp(now + reset, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        elif name in ("requests", "tokens"):
            headers[f"x-ratelimit-limit-{name}"] = str(round(bucket.per_minute))
            headers[f"x-ratelimit-remaining-{name}"] = left
            headers[f"x-ratelimit-reset-{name}"] = f"{math.ceil(reset * 1000)}ms"
    return headers


def refusal(kind: str, refused: Refusal) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of a 429."""
    message = f"Rate limit reached on {refused.kind.replace('_', ' ')}. Please try again in {refused.wait:.3f}s."
    headers = {"retry-after": str(max(1, math.ceil(refused.wait)))}
    if kind == "messages":
        return error(kind, 429, "rate_limit_error", None, message), headers
    headers["retry-after-ms"] = str(max(1, math.ceil(refused.wait * 1000)))
    return error(kind, 429, refused.kind, "rate_limit_exceeded", message), headers
