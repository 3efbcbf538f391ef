"""What Anthropic's API refuses. Sources: Anthropic API reference, "Messages"; "Migration guide" (sampling)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from laneway.simulator.wires.parts import parts_of, refuse_unknown

FIELDS = frozenset(
    ("model", "messages", "max_tokens", "system", "temperature", "top_p", "top_k", "stop_sequences", "metadata",
     "stream", "thinking", "tools", "tool_choice", "service_tier", "output_config", "output_format", "cache_control",
     "container", "inference_geo", "speed", "diagnostics")
)  # fmt: skip
PARTS = ("text", "image", "document", "search_result", "tool_use", "tool_result", "thinking", "redacted_thinking")
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
ROLES = ("user", "assistant", "system")
_WITHOUT_SAMPLING = re.compile(r"claude-((opus|sonnet|haiku)-(4-[7-9]|[5-9])|fable|mythos)")
_WITH_ONE_OF_TWO = re.compile(r"claude-(opus|sonnet|haiku)-4-[156](?!\d)")


def refuse(body: Mapping[str, Any], model: str) -> None:
    """Raises ValueError, in Anthropic's words, for what it does not take."""
    for name in body:
        if name not in FIELDS:
            raise ValueError(f"{name}: Extra inputs are not permitted")
    _refuse_sampling(body, model)
    for stop in body.get("stop_sequences") or ():
        if not isinstance(stop, str) or not stop.strip():
            raise ValueError("stop_sequences: each stop sequence must contain non-whitespace")
    messages = body["messages"]
    for at, message in enumerate(messages):
        if not isinstance(message, Mapping):
            continue
        if message.get("role", "user") not in ROLES:
            raise ValueError(f"messages.{at}.role: Input should be 'user' or 'assistant'")
        if not message.get("content") and at < len(messages) - 1:
            raise ValueError(f"messages.{at}: all messages must have non-empty content")
    refuse_unknown(messages, "messages", PARTS)
    for where, part in parts_of(messages):
        if part.get("type") == "text" and not part.get("text"):
            raise ValueError(f"messages.{where}: text content blocks must be non-empty")
        if part.get("type") in ("image", "document"):
            _refuse_source(part, f"messages.{where}.source")


def _refuse_source(part: Mapping[str, Any], where: str) -> None:
    source = part.get("source")
    if not isinstance(source, Mapping):
        raise ValueError(f"{where}: Field required")  # noqa: TRY004 - the client's mistake
    if part["type"] == "image" and source.get("type") == "base64" and source.get("media_type") not in IMAGE_TYPES:
        raise ValueError(f"{where}.base64.media_type: Input should be {', '.join(IMAGE_TYPES)}")


def _refuse_sampling(body: Mapping[str, Any], model: str) -> None:
    given = [name for name in ("temperature", "top_p", "top_k") if body.get(name) is not None]
    if given and _WITHOUT_SAMPLING.search(model):
        raise ValueError(f"`{given[0]}` is deprecated for this model.")
    if "temperature" in given and "top_p" in given and _WITH_ONE_OF_TWO.search(model):
        raise ValueError("`temperature` and `top_p` cannot both be specified for this model. Please use only one.")
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1):
            raise ValueError(f"{name}: range: 0..1")
