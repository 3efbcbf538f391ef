"""Chat Completions to Anthropic Messages and the answer back. What cannot be carried over is named, not dropped."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from laneway.errors import InputError
from laneway.task import Wire

_CARRIED = {
    "model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "user",
    "response_format",
}  # fmt: skip
_HARMLESS = {"n": 1, "stream": False, "logprobs": False, "presence_penalty": 0, "frequency_penalty": 0}
_FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "refusal": "content_filter"}


def refusals(wire: Wire, body: Mapping[str, Any]) -> dict[Wire, str]:
    """The other formats that cannot carry this body, and what of it they cannot."""
    if wire is Wire.CHAT:
        what = untranslatable(body)
        return {Wire.MESSAGES: what} if what else {}
    return {
        other: f"a request in the format {wire.value!r}" for other in (Wire.CHAT, Wire.MESSAGES) if other is not wire
    }


def untranslatable(body: Mapping[str, Any]) -> str | None:
    """What of a Chat Completions body Anthropic Messages cannot take, in a few words; None when all can."""
    for name, value in body.items():
        if name in _CARRIED or value is None:
            continue
        if name in _HARMLESS and _HARMLESS[name] == value:
            continue
        return f"the field {name!r}"
    kind = (body.get("response_format") or {}).get("type", "text")
    if kind not in ("text", "json_schema"):
        return f"response_format {kind!r}"
    for message in body.get("messages", ()):
        if message.get("role") not in ("system", "developer", "user", "assistant"):
            return f"a message of role {message.get('role')!r}"
        if message.get("tool_calls"):
            return "tool calls"
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part.get("type") not in ("text", "image_url"):
                return f"a content part of type {part.get('type')!r}"
    return None


def to_messages(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions body as a Messages body (without the model). Raises InputError for what cannot be carried."""
    if what := untranslatable(body):
        raise InputError(f"{what} cannot be sent to Anthropic Messages", hint="use a model with OpenAI's format for it")
    system: list[str] = []
    messages: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = message.get("content") or ""
        if message["role"] in ("system", "developer"):
            system.append(content if isinstance(content, str) else "".join(p.get("text", "") for p in content))
        else:
            messages.append({"role": message["role"], "content": _content(content)})
    made: dict[str, Any] = {"messages": messages}
    if system:
        made["system"] = "\n\n".join(system)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit:
        made["max_tokens"] = limit
    for name in ("temperature", "top_p"):
        if body.get(name) is not None:
            made[name] = body[name]
    if (stop := body.get("stop")) is not None:
        made["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if body.get("user"):
        made["metadata"] = {"user_id": str(body["user"])}
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        made["output_config"] = {"format": {"type": "json_schema", "schema": wanted["json_schema"]["schema"]}}
    return made


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    parts = []
    for part in content:
        if part["type"] == "text":
            parts.append({"type": "text", "text": part["text"]})
            continue
        url = part["image_url"]["url"]
        if url.startswith("data:"):
            media, _, data = url.removeprefix("data:").partition(";base64,")
            parts.append({"type": "image", "source": {"type": "base64", "media_type": media, "data": data}})
        else:
            parts.append({"type": "image", "source": {"type": "url", "url": url}})
    return parts


def to_chat_answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A Messages answer as a Chat Completions answer."""
    text = "".join(part.get("text", "") for part in answer.get("content", ()) if part.get("type") == "text")
    said = answer.get("usage") or {}
    read = int(said.get("cache_read_input_tokens") or 0)
    prompt = int(said.get("input_tokens") or 0) + read + int(said.get("cache_creation_input_tokens") or 0)
    completion = int(said.get("output_tokens") or 0)
    return {
        "id": answer.get("id", ""),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.get("model", ""),
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": _FINISH.get(answer.get("stop_reason") or "", "stop"),
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": read},
        },
    }
