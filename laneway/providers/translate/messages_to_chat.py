"""Anthropic Messages bodies as Chat Completions, and the answers back.

Sources: Anthropic API reference, "Messages"; OpenAI API reference, "Chat" (at most four stop sequences).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laneway.providers.answers.structured import strict_terms
from laneway.providers.translate.fields import IMAGE_TYPES, foreign_field, is_web_url, media_type, named

_CARRIED = frozenset(
    ("model", "messages", "system", "max_tokens", "temperature", "top_p", "stop_sequences", "metadata",
     "output_config", "output_format")
)  # fmt: skip
_WITHOUT_EFFECT = frozenset(("cache_control", "diagnostics"))
_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "stream": (False,),
    "service_tier": ("auto", "standard_only"),
    "thinking": ({"type": "disabled"},),
    "tool_choice": ({"type": "auto"}, {"type": "none"}),
    "speed": ("standard",),
}
_MOST_STOPS = 4
_FINISHED = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}


def untranslatable(body: Mapping[str, Any]) -> str | None:
    """What of a Messages body Chat Completions cannot take, in a few words; None when all can."""
    if what := foreign_field(body, _CARRIED, _WITHOUT_EFFECT, _DEFAULTS):
        return what
    for name in body.get("output_config") or ():
        if name != "format" and body["output_config"][name] is not None:
            return f"the field {named('output_config.' + name)}"
    wanted = _format(body)
    if wanted and wanted["type"] != "json_schema":
        return f"an output format {named(wanted['type'])}"
    if wanted and not isinstance(wanted["schema"], Mapping):
        return "an answer's schema that is no object"
    if len(body.get("stop_sequences") or ()) > _MOST_STOPS:
        return "more than four stop sequences"
    for name in body.get("metadata") or ():
        if name != "user_id":
            return f"the field {named('metadata.' + name)}"
    for part in _parts(body.get("system")):
        if part["type"] != "text":
            return f"a system part of type {named(part['type'])}"
    return _untranslatable_messages(body["messages"])


def _untranslatable_messages(messages: list[Mapping[str, Any]]) -> str | None:
    for message in messages:
        if message["role"] not in ("user", "assistant", "system"):
            return f"a message of role {named(message['role'])}"
        for part in _parts(message["content"]):
            if what := _untranslatable_part(part, message["role"]):
                return what
    return "words put into the assistant's mouth" if messages[-1]["role"] == "assistant" else None


def _untranslatable_part(part: Mapping[str, Any], role: str) -> str | None:
    kind = part["type"]
    if kind == "text":
        return None
    if kind not in ("image", "document") or role != "user":
        return f"a content part of type {named(kind)}" + ("" if role == "user" else f" in a message of role {role!r}")
    source = part["source"]
    if kind == "image":
        match source["type"]:
            case "base64":
                found = media_type(source["media_type"])
                return None if found in IMAGE_TYPES else f"an image of type {named(found)}"
            case "url" if is_web_url(source["url"]):
                return None
        return f"an image from {named(source['type'])}"
    if part.get("context"):
        return "a document with context"
    if (part.get("citations") or {}).get("enabled"):
        return "a document with citations"
    match source["type"]:
        case "base64" if source["media_type"] == "application/pdf":
            return None
        case "text":
            return None
    return f"a document from {named(source['type'])}"


def body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Messages body as a Chat Completions body, without the model."""
    messages: list[dict[str, Any]] = []
    if system := "\n\n".join(part["text"] for part in _parts(body.get("system"))):
        messages.append({"role": "system", "content": system})
    for message in body["messages"]:
        messages.append({"role": message["role"], "content": _content(message["content"])})
    made: dict[str, Any] = {"messages": messages}
    for name in ("max_tokens", "temperature", "top_p"):
        if body.get(name) is not None:
            made[name] = body[name]
    if body.get("stop_sequences"):
        made["stop"] = list(body["stop_sequences"])
    if user := (body.get("metadata") or {}).get("user_id"):
        made["user"] = user
    if wanted := _format(body):
        schema = wanted["schema"]
        made["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, "strict": strict_terms(schema)},
        }
    return made


def _format(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """``output_format`` is the older name."""
    return (body.get("output_config") or {}).get("format") or body.get("output_format")


def _parts(content: Any) -> list[Mapping[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return list(content or ())


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content]
    return parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    if part["type"] == "text":
        return {"type": "text", "text": part["text"]}
    source = part["source"]
    if part["type"] == "image":
        url = source["url"] if source["type"] == "url" else _data_url(media_type(source["media_type"]), source["data"])
        return {"type": "image_url", "image_url": {"url": url}}
    title = part.get("title")
    if source["type"] == "text":
        return {"type": "text", "text": f"{title}\n\n{source['data']}" if title else source["data"]}
    file = {"filename": title or "document.pdf", "file_data": _data_url(source["media_type"], source["data"])}
    return {"type": "file", "file": file}


def _data_url(kind: str, data: str) -> str:
    return f"data:{kind};base64,{data}"


def answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions answer as a Messages answer."""
    choice = answer["choices"][0]
    text = (choice.get("message") or {}).get("content") or ""
    said = answer.get("usage") or {}
    details = said.get("prompt_tokens_details") or {}
    read, written = int(details.get("cached_tokens") or 0), int(details.get("cache_write_tokens") or 0)
    return {
        "id": answer.get("id", ""),
        "type": "message",
        "role": "assistant",
        "model": answer.get("model", ""),
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": _FINISHED.get(choice.get("finish_reason") or "", "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": max(0, int(said.get("prompt_tokens") or 0) - read - written),
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": read,
            "output_tokens": int(said.get("completion_tokens") or 0),
        },
    }
