"""OpenAI Responses bodies as Chat Completions, and the answers back. Source: OpenAI API reference, "Responses"."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from laneway.providers.translate.fields import foreign_field, named

_CARRIED = frozenset(
    ("model", "input", "instructions", "max_output_tokens", "temperature", "top_p", "text", "user", "reasoning")
)
_WITHOUT_EFFECT = frozenset(
    ("metadata", "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier",
     "parallel_tool_calls", "stream_options", "max_tool_calls")
)  # fmt: skip
_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "stream": (False,),
    "background": (False,),
    "truncation": ("disabled",),
    "service_tier": ("auto", "default"),
    "top_logprobs": (0,),
    "tool_choice": ("auto", "none"),
}
_FORMATS = ("text", "json_object", "json_schema")
_ROLES = ("user", "assistant", "system", "developer")


def untranslatable(body: Mapping[str, Any]) -> str | None:
    """What of a Responses body Chat Completions cannot take, in a few words; None when all can."""
    if what := foreign_field(body, _CARRIED, _WITHOUT_EFFECT, _DEFAULTS):
        return what
    if any(value is not None for value in (body.get("reasoning") or {}).values()):
        return "the field 'reasoning'"
    for name, value in (body.get("text") or {}).items():
        if name == "format" and (value is None or value.get("type", "text") in _FORMATS):
            continue
        if value not in (None, "medium"):
            return f"the field {named('text.' + name)}"
    for item in _items(body):
        kind = item.get("type", "message")
        if kind != "message":
            return f"an item of type {named(kind)}"
        if item["role"] not in _ROLES:
            return f"a message of role {named(item['role'])}"
        for part in item["content"] if isinstance(item["content"], list) else ():
            if what := _untranslatable_part(part):
                return what
    return None


def _untranslatable_part(part: Mapping[str, Any]) -> str | None:
    match part["type"]:
        case "input_text" | "output_text":
            return None
        case "input_image":
            return None if part.get("image_url") else "an uploaded image"
        case "input_file":
            if part.get("file_data"):
                return None
            return "a file on the web" if part.get("file_url") else "an uploaded file"
    return f"a content part of type {named(part['type'])}"


def body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Responses body as a Chat Completions body, without the model."""
    messages: list[dict[str, Any]] = []
    if body.get("instructions"):
        messages.append({"role": "system", "content": body["instructions"]})
    for item in _items(body):
        content = item["content"]
        messages.append(
            {
                "role": item["role"],
                "content": content if isinstance(content, str) else _content([_part(part) for part in content]),
            }
        )
    made: dict[str, Any] = {"messages": messages}
    if body.get("max_output_tokens"):
        made["max_tokens"] = body["max_output_tokens"]
    for name in ("temperature", "top_p", "user"):
        if body.get(name) is not None:
            made[name] = body[name]
    wanted = (body.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_object":
        made["response_format"] = {"type": "json_object"}
    elif wanted.get("type") == "json_schema":
        inner = {name: wanted[name] for name in ("name", "description", "schema", "strict") if name in wanted}
        made["response_format"] = {"type": "json_schema", "json_schema": inner}
    return made


def _items(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    given = body["input"]
    if isinstance(given, str):
        yield {"role": "user", "content": given}
    else:
        yield from given


def _content(parts: list[dict[str, Any]]) -> Any:
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "input_image":
            image = {"url": part["image_url"]}
            if part.get("detail") in ("auto", "low", "high"):
                image["detail"] = part["detail"]
            return {"type": "image_url", "image_url": image}
        case "input_file":
            return {"type": "file", "file": {name: part[name] for name in ("filename", "file_data") if part.get(name)}}
        case _:
            return {"type": "text", "text": part["text"]}


def answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions answer as a Responses answer."""
    choice = answer["choices"][0]
    text = (choice.get("message") or {}).get("content") or ""
    status = "incomplete" if choice.get("finish_reason") == "length" else "completed"
    said = answer.get("usage") or {}
    read = said.get("prompt_tokens_details") or {}
    thought = said.get("completion_tokens_details") or {}
    used, wrote = int(said.get("prompt_tokens") or 0), int(said.get("completion_tokens") or 0)
    return {
        "id": answer.get("id", ""),
        "object": "response",
        "created_at": answer.get("created") or int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": None,
        "metadata": {},
        "model": answer.get("model", ""),
        "output": [
            {
                "type": "message",
                "id": f"msg_{answer.get('id', '')}",
                "status": status,
                "role": "assistant",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": used,
            "input_tokens_details": {
                "cached_tokens": int(read.get("cached_tokens") or 0),
                "cache_write_tokens": int(read.get("cache_write_tokens") or 0),
            },
            "output_tokens": wrote,
            "output_tokens_details": {"reasoning_tokens": int(thought.get("reasoning_tokens") or 0)},
            "total_tokens": used + wrote,
        },
    }
