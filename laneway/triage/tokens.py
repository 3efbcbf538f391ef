"""How long a text is in tokens, before any tokenizer is known. Calibrated later by what calls really used.

Four ASCII characters make a token (OpenAI Help, "What are tokens and how to count them": English prose). Other scripts
are heavier: every byte that UTF-8 needs beyond one a character adds a third of a token, which makes a CJK character 0.9
tokens, a Cyrillic letter 0.6, an emoji 1.25. Code, JSON, digits and base64 make more tokens than this says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import orjson

from laneway.task import Wire
from laneway.triage.attachments import ANYBODY, LEAST_DOCUMENT, Reader

CHARS_PER_TOKEN = 4.0  # of ASCII text
BYTES_PER_TOKEN = 3.0  # of what UTF-8 needs beyond one byte a character
PER_REQUEST = 3  # tokens that begin the answer
PER_MESSAGE = 4  # tokens of framing
_PICTURES = ("image_url", "input_image", "image")
_DOCUMENTS = ("file", "input_file", "document")
_DEEPEST = 4  # levels of parts within parts


def estimate(text: str) -> int:
    """Tokens of a text, at least 1 unless it is empty. Nothing is looked at character by character in Python."""
    if not text:
        return 0
    tokens = len(text) / CHARS_PER_TOKEN
    if not text.isascii():
        tokens += (len(text.encode("utf-8", "replace")) - len(text)) / BYTES_PER_TOKEN
    return max(1, round(tokens))


def estimate_chat(messages: Sequence[Mapping[str, Any]], reader: Reader = ANYBODY) -> int:
    """Tokens of a request's messages, in the format of Chat Completions or Anthropic Messages, with their framing."""
    total = PER_REQUEST
    for message in messages:
        total += PER_MESSAGE + _content(message.get("content"), 0, reader)
        if isinstance(message.get("name"), str):
            total += 1 + estimate(message["name"])
        for call in _list(message.get("tool_calls")):
            function = call.get("function") if isinstance(call, Mapping) else None
            if isinstance(function, Mapping):
                total += (
                    PER_MESSAGE + estimate(str(function.get("name", ""))) + estimate(str(function.get("arguments", "")))
                )
    return total


def estimate_body(wire: Wire, body: Mapping[str, Any], reader: Reader | None = None) -> int:
    """Tokens of a whole request in the format of ``wire``, with its instructions and its tools. ``reader``: the model
    that will read it, else what the body says."""
    reader = reader or _reader(str(body.get("model") or ""), wire is Wire.MESSAGES)
    total = estimate(orjson.dumps(tools).decode()) if (tools := body.get("tools")) else 0
    match wire:
        case Wire.CHAT:
            return total + estimate_chat(_list(body.get("messages")), reader)
        case Wire.MESSAGES:
            system = _content(body.get("system"), 0, reader)
            return total + system + estimate_chat(_list(body.get("messages")), reader)
        case Wire.RESPONSES:
            given = body.get("input")
            said = PER_MESSAGE + estimate(given) if isinstance(given, str) else _items(_list(given), reader)
            return total + PER_REQUEST + estimate(str(body.get("instructions") or "")) + said
        case Wire.EMBEDDINGS:
            return _embedded(body.get("input"))
        case Wire.PYTHON:
            return 0


_reader = lru_cache(maxsize=64)(Reader)  # a batch names few models


def _items(items: Sequence[Any], reader: Reader) -> int:
    """Items of a Responses request: messages, and what tools were asked and answered."""
    total = 0
    for item in items:
        if isinstance(item, Mapping):
            plain = item.get("content") if "content" in item else str(item.get("output") or item.get("arguments") or "")
            total += PER_MESSAGE + _content(plain, 0, reader)
    return total


def _embedded(given: Any) -> int:
    """A text, texts, tokens, or lists of tokens."""
    if isinstance(given, str):
        return estimate(given)
    return sum(1 if isinstance(one, int) else _embedded(one) for one in _list(given))


def _content(content: Any, depth: int, reader: Reader) -> int:
    if isinstance(content, str):
        return estimate(content)
    return sum(_part(part, depth, reader) for part in _list(content)) if depth < _DEEPEST else 0


def _part(part: Any, depth: int, reader: Reader) -> int:
    if isinstance(part, str):
        return estimate(part)
    if not isinstance(part, Mapping):
        return 0
    if isinstance(part.get("text"), str):
        return estimate(part["text"])
    kind = part.get("type")
    if kind == "tool_result":
        return PER_MESSAGE + _content(part.get("content"), depth + 1, reader)
    if kind == "tool_use":
        return PER_MESSAGE + estimate(str(part.get("input", "")))
    if kind in _PICTURES:
        return reader.picture(part)
    if kind in _DOCUMENTS:
        source = part.get("source")
        if isinstance(source, Mapping) and source.get("type") in ("text", "content"):
            return _content(source.get("data") or source.get("content"), depth + 1, reader)
        return reader.document(part)
    return LEAST_DOCUMENT


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
