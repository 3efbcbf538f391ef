"""Anthropic Messages. Sources: Anthropic API reference, "Messages", "Streaming messages", "Errors", "Rate limits"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from laneway.simulator.limits import Charge, KeyLimits, Refusal
from laneway.simulator.wires.anthropic import refuse
from laneway.simulator.wires.base import (
    Ask,
    Made,
    Mistake,
    frame,
    input_tokens,
    limit_of,
    limit_words,
    mapping_in,
    model_of,
    pieces,
    plain,
    text_of,
    whole_seconds,
)
from laneway.simulator.wires.parts import attached_tokens
from laneway.simulator.wires.tools import tool_to_use

_ERRORS: Mapping[Mistake, str] = {
    "bad_request": "invalid_request_error",
    "unauthorized": "authentication_error",
    "no_model": "not_found_error",
    "no_path": "not_found_error",
    "too_large": "request_too_large",
    "server": "api_error",
    "overloaded": "overloaded_error",
}


class Messages:
    id_header = "request-id"
    streams = True

    def understand(self, body: Mapping[str, Any]) -> Ask:
        model = model_of(body)
        messages = body.get("messages")
        text = plain(body.get("system")) + text_of(messages, "messages")
        refuse(body, model)
        limit = limit_of(body, "max_tokens")
        if limit is None:
            raise ValueError("max_tokens: Field required")
        wanted = mapping_in(mapping_in(body, "output_config"), "format") or mapping_in(body, "output_format")
        if wanted and wanted.get("type") != "json_schema":
            raise ValueError("output_config.format.type: Input should be 'json_schema'")
        if wanted and wanted.get("schema") is None:
            raise ValueError("output_config.format.schema: Field required")
        tool = tool_to_use(body)
        schema = wanted.get("schema") if tool is None else tool.parameters
        used = input_tokens(text, attached_tokens(messages))
        named = "" if tool is None else tool.name
        return Ask(model, text, used, limit, schema, bool(body.get("stream")), tool=named)

    def charge(self, ask: Ask, output_tokens: int) -> Charge:
        """What is really used; ``max_tokens`` is not charged. Output too is charged on arrival, since the simulator
        knows it then: in any window its limit holds exactly."""
        return Charge(1.0, ask.input_tokens + output_tokens, ask.input_tokens, output_tokens)

    def answer(self, made: Made) -> dict[str, Any]:
        return _head(made) | {
            "content": [_use(made) if made.ask.tool else {"type": "text", "text": made.said.text}],
            "stop_reason": _stop(made),
            "usage": _usage(made, made.said.tokens),
        }

    def frames(self, made: Made) -> list[bytes]:
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": _head(made) | {"usage": _usage(made, 1)}},
            {"type": "content_block_start", "index": 0, "content_block": _beginning(made)},
            {"type": "ping"},
        ]
        for piece in pieces(made.said.text):
            delta = {"type": "input_json_delta", "partial_json": piece}
            if not made.ask.tool:
                delta = {"type": "text_delta", "text": piece}
            events.append({"type": "content_block_delta", "index": 0, "delta": delta})
        events.append({"type": "content_block_stop", "index": 0})
        ended = {"stop_reason": _stop(made), "stop_sequence": None}
        events.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": made.said.tokens}})
        events.append({"type": "message_stop"})
        return [frame(event, event["type"]) for event in events]

    def error(self, mistake: Mistake, message: str) -> dict[str, Any]:
        return {"type": "error", "error": {"type": _ERRORS[mistake], "message": message}}

    def error_frame(self, error: Mapping[str, Any]) -> bytes:
        return frame(error, "error")

    def refusal(self, refused: Refusal, model: str) -> dict[str, Any]:
        of = "" if refused.limit is None else f" of {refused.limit:.0f}"
        message = f"This request would exceed your rate limit{of} on {limit_words(refused)}. Please try again later."
        return {"type": "error", "error": {"type": "rate_limit_error", "message": message}}

    def wait_headers(self, refused: Refusal) -> dict[str, str]:
        return {"retry-after": str(whole_seconds(refused.wait))}

    def limit_headers(self, limits: KeyLimits, now: float, wall: float) -> dict[str, str]:
        headers = {}
        for kind, bucket in limits.buckets.items():
            bucket.refill(now)
            prefix = f"anthropic-ratelimit-{kind.replace('_', '-')}-"
            full = datetime.fromtimestamp(math.ceil(wall + bucket.until_full()), UTC)
            headers[prefix + "limit"] = f"{bucket.per_minute:.0f}"
            headers[prefix + "remaining"] = str(max(0, math.floor(bucket.level)))
            headers[prefix + "reset"] = full.strftime("%Y-%m-%dT%H:%M:%SZ")
        return headers


def _head(made: Made) -> dict[str, Any]:
    return {
        "id": f"msg_sim{made.number}",
        "type": "message",
        "role": "assistant",
        "model": made.ask.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _use(made: Made) -> dict[str, Any]:
    """What was cut off or malformed is no object: the API then shows none."""
    try:
        given = orjson.loads(made.said.text)
    except orjson.JSONDecodeError:
        given = {}
    given = given if isinstance(given, dict) else {}
    return {"type": "tool_use", "id": f"toolu_sim{made.number}", "name": made.ask.tool, "input": given}


def _beginning(made: Made) -> dict[str, Any]:
    return {**_use(made), "input": {}} if made.ask.tool else {"type": "text", "text": ""}


def _stop(made: Made) -> str:
    if made.said.cut_off:
        return "max_tokens"
    return "tool_use" if made.ask.tool else "end_turn"


def _usage(made: Made, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": made.ask.input_tokens - made.cached - made.written,
        "cache_creation_input_tokens": made.written,
        "cache_read_input_tokens": made.cached,
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }
