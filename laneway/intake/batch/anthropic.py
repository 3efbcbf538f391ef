"""Anthropic's request body, checked as its API would (API reference, "Create a Message")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from laneway.intake.batch.request import Bad, Request, no_stream, parts, positive, text_of

ROLES = ("user", "assistant", "system")
IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_SOURCES = {"base64": "data", "url": "url", "file": "file_id", "text": "data", "content": "content"}


def messages(body: dict[str, Any]) -> Request:
    """Reads ``params`` of a batch request."""
    said = body.get("messages")
    if not isinstance(said, list) or not said:
        raise Bad("params.messages is missing or empty")
    seen: set[str] = set()
    texts = list(_texts(body["system"], "params.system", seen)) if body.get("system") else []
    for at, message in enumerate(said):
        where = f"params.messages[{at}]"
        if not isinstance(message, dict):
            raise Bad(f"{where} is not an object")
        if message.get("role") not in ROLES:
            raise Bad(f"{where}.role is {message.get('role')!r}; one of {', '.join(ROLES)}")
        if message.get("content") == "":
            raise Bad(f"{where}.content is empty")
        texts += _texts(message.get("content"), f"{where}.content", seen)
    no_stream(body, "params")
    allowed = positive(body, "params", "max_tokens")
    if allowed is None:
        raise Bad("params.max_tokens is missing; Anthropic requires it")
    metadata = body.get("metadata")
    return Request("\n".join(texts), allowed, frozenset(seen), metadata if isinstance(metadata, dict) else {})


def _texts(content: Any, where: str, seen: set[str]) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for kind, part, place in parts(content, where):
        if kind == "text":
            yield text_of(part, place)
        elif kind == "image":
            source = _source(part, place)
            if source["type"] == "base64" and source.get("media_type") not in IMAGES:
                raise Bad(f"{place}.source.media_type is {source.get('media_type')!r}; one of {', '.join(IMAGES)}")
            seen.add("image")
        elif kind == "document":
            yield from _document(_source(part, place), f"{place}.source", seen)
        elif kind == "tool_result" and part.get("content"):
            yield from _texts(part["content"], f"{place}.content", seen)


def _document(source: dict[str, Any], where: str, seen: set[str]) -> Iterator[str]:
    if source["type"] == "text":
        yield source["data"]
    elif source["type"] == "content":
        yield from _texts(source["content"], f"{where}.content", seen)
    else:
        seen.add("pdf")


def _source(part: dict[str, Any], where: str) -> dict[str, Any]:
    source = part.get("source")
    if not isinstance(source, dict) or not isinstance(source.get("type"), str):
        raise Bad(f"{where}.source is missing or has no type")
    needed = _SOURCES.get(source["type"])
    value = source.get(needed) if needed else None
    if needed and not (isinstance(value, str) and value) and not (needed == "content" and value):
        raise Bad(f"{where}.source has no {needed}")
    return source
