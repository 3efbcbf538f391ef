"""Chat Completions bodies as Anthropic Messages, and the answers back.

Sources: OpenAI API reference, "Chat"; Anthropic API reference, "Messages", and "OpenAI SDK compatibility" (system
messages are hoisted to the front, temperatures above 1 are capped at 1).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from laneway.providers.translate import tools
from laneway.providers.translate.fields import (
    IMAGE_TYPES,
    data_url,
    data_url_type,
    foreign_field,
    is_web_url,
    named,
)

_CARRIED = frozenset(
    ("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "user",
     "response_format", "tools", "tool_choice")
)  # fmt: skip
_WITHOUT_EFFECT = frozenset(
    ("metadata", "store", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "safety_identifier",
     "parallel_tool_calls", "stream_options")  # the former of those without tools
)  # fmt: skip
_DEFAULTS: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "stream": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "service_tier": ("auto", "default"),
    "modalities": (["text"],),
    "verbosity": ("medium",),
}
_SYSTEM = ("system", "developer")
_ROLES = (*_SYSTEM, "user", "assistant", "tool")
_NOT_CARRIED = dict.fromkeys(("function_call", "audio", "refusal", "name"))  # of a message
_DOCUMENT_TYPES = ("application/pdf", "text/plain")
_STOPPED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def untranslatable(body: Mapping[str, Any]) -> str | None:
    """What of a Chat Completions body Anthropic Messages cannot take, in a few words; None when all can."""
    if what := foreign_field(body, _CARRIED, _WITHOUT_EFFECT, _DEFAULTS):
        return what
    wanted = body.get("response_format") or {}
    if wanted.get("type", "text") not in ("text", "json_schema"):
        return f"response_format {named(wanted['type'])}"
    if wanted.get("type") == "json_schema" and not isinstance(wanted["json_schema"]["schema"], Mapping):
        return "an answer's schema that is no object"
    if any(not stop.strip() for stop in _stops(body)):
        return "a stop sequence of white space"
    if what := tools.untranslatable(body):
        return what
    return _untranslatable_messages(body["messages"])


def _untranslatable_messages(messages: Iterable[Mapping[str, Any]]) -> str | None:
    roles = []
    for message in messages:
        role = message["role"]
        if role not in _ROLES:
            return f"a message of role {named(role)}"
        if not _NOT_CARRIED.keys().isdisjoint(message):
            for name in _NOT_CARRIED:
                if message.get(name):
                    return f"{named(name)} in a message"
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if what := _untranslatable_part(part, role):
                return what
        if what := tools.untranslatable_calls(message):
            return what
        answers = role == "tool" and bool(message["tool_call_id"])
        if role not in _SYSTEM and (answers or message.get("tool_calls") or not _empty(content)):
            roles.append(role)
    if not roles:
        return "a request without words of the user"
    if roles[0] == "assistant":
        return "a conversation that the assistant begins"
    return "a conversation that ends with the assistant" if roles[-1] == "assistant" else None


def _untranslatable_part(part: Mapping[str, Any], role: str) -> str | None:
    kind = part["type"]
    if kind == "text":
        return None
    if kind not in ("image_url", "file") or role != "user":
        return f"a content part of type {named(kind)}" + ("" if role == "user" else f" in a message of role {role!r}")
    if kind == "image_url":
        url = part["image_url"]["url"]
        found = data_url_type(url)
        if found is None and not is_web_url(url):
            return "an image that is neither in the request nor on the web"
        return None if found is None or found in IMAGE_TYPES else f"an image of type {named(found)}"
    data = part["file"].get("file_data")
    if not data:
        return "an uploaded file"
    found = _document_type(part["file"], data)
    return None if found in _DOCUMENT_TYPES else f"a file of type {named(found or 'unknown')}"


def _document_type(file: Mapping[str, Any], data: str) -> str | None:
    """A file may come as a data URL or as bare base64 with a name."""
    if data.startswith("data:"):
        return data_url_type(data)
    return "application/pdf" if str(file.get("filename", "")).casefold().endswith(".pdf") else None


def body(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions body as a Messages body, without the model. Messages without content are left out: Anthropic
    takes none."""
    system: list[str] = []
    messages: list[dict[str, Any]] = []
    for message in body["messages"]:
        content = message.get("content")
        if message["role"] == "tool":
            tools.add_result(messages, message)
            continue
        if calls := message.get("tool_calls"):
            words = [] if _empty(content) else _content(content)
            said = [{"type": "text", "text": words}] if isinstance(words, str) else words
            messages.append({"role": "assistant", "content": [*said, *tools.uses(calls)]})
            continue
        if _empty(content):
            continue
        if message["role"] in _SYSTEM:
            system.append(content if isinstance(content, str) else "".join(part["text"] for part in content))
        else:
            messages.append({"role": message["role"], "content": _content(content)})
    made: dict[str, Any] = {"messages": messages, **tools.tools(body)}
    if system:
        made["system"] = "\n\n".join(system)
    if limit := body.get("max_completion_tokens") or body.get("max_tokens"):
        made["max_tokens"] = limit
    if (temperature := body.get("temperature")) is not None:
        made["temperature"] = min(temperature, 1)
    if body.get("top_p") is not None:
        made["top_p"] = body["top_p"]
    if stops := _stops(body):
        made["stop_sequences"] = stops
    if body.get("user"):
        made["metadata"] = {"user_id": str(body["user"])}
    wanted = body.get("response_format") or {}
    if wanted.get("type") == "json_schema":
        made["output_config"] = {"format": {"type": "json_schema", "schema": wanted["json_schema"]["schema"]}}
    return made


def _stops(body: Mapping[str, Any]) -> list[str]:
    stop = body.get("stop")
    return [stop] if isinstance(stop, str) else list(stop or ())


def _empty(content: Any) -> bool:
    if isinstance(content, list):
        return not any(part["type"] != "text" or part["text"] for part in content)
    return not content


def _content(content: Any) -> Any:
    if isinstance(content, str):
        return content
    return [_part(part) for part in content if part["type"] != "text" or part["text"]]


def _part(part: Mapping[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "text":
            return {"type": "text", "text": part["text"]}
        case "image_url":
            return {"type": "image", "source": _image(part["image_url"]["url"])}
        case _:
            return _document(part["file"])


def _image(url: str) -> dict[str, Any]:
    inside = data_url(url)
    if inside is None:
        return {"type": "url", "url": url}
    return {"type": "base64", "media_type": inside[0], "data": inside[1]}


def _document(file: Mapping[str, Any]) -> dict[str, Any]:
    kind, data = data_url(file["file_data"]) or ("application/pdf", file["file_data"])
    if kind == "text/plain":
        import base64

        text = base64.b64decode(data).decode("utf-8", "replace")
        source = {"type": "text", "media_type": kind, "data": text}
    else:
        source = {"type": "base64", "media_type": kind, "data": data}
    made: dict[str, Any] = {"type": "document", "source": source}
    if file.get("filename"):
        made["title"] = str(file["filename"])
    return made


def answer(answer: Mapping[str, Any]) -> dict[str, Any]:
    """A Messages answer as a Chat Completions answer."""
    text = "".join(part.get("text", "") for part in answer.get("content", ()) if part.get("type") == "text")
    said = answer.get("usage") or {}
    read = int(said.get("cache_read_input_tokens") or 0)
    written = int(said.get("cache_creation_input_tokens") or 0)
    prompt = int(said.get("input_tokens") or 0) + read + written
    completion = int(said.get("output_tokens") or 0)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls := tools.calls(answer.get("content", ())):
        message |= {"content": text or None, "tool_calls": calls}
    finish = _STOPPED.get(answer.get("stop_reason") or "", "stop")
    return {
        "id": answer.get("id", ""),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.get("model", ""),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": written},
        },
    }
