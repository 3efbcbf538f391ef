"""What stands in messages beside text: which kinds of content parts a format knows, and what they count."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

IMAGE_TOKENS = 1_000  # of any image
DOCUMENT_CHARS_PER_TOKEN = 30  # of a PDF in base64
_IMAGES = ("image_url", "input_image", "image")
_DOCUMENTS = ("file", "input_file", "document")


def attached_tokens(messages: Any) -> int:
    """Tokens of the images and documents in a list of messages."""
    return sum(_tokens(part) for _, part in parts_of(messages))


def parts_of(messages: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(where, part) of every content part that is an object."""
    for at, message in enumerate(messages if isinstance(messages, list) else ()):
        content = message.get("content") if isinstance(message, Mapping) else None
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if isinstance(part, Mapping):
                yield f"{at}.content.{index}", part


def refuse_unknown(messages: Any, name: str, known: Collection[str]) -> None:
    """Raises ValueError for a content part of a kind that this format does not have."""
    for where, part in parts_of(messages):
        kind = part.get("type")
        if kind is not None and kind not in known:
            raise ValueError(f"{name}.{where}: Invalid value: {kind!r}. Supported values are: {', '.join(known)}.")


def _tokens(part: Mapping[str, Any]) -> int:
    kind = part.get("type")
    if kind in _IMAGES:
        return IMAGE_TOKENS
    if kind not in _DOCUMENTS:
        return 0
    holder = part.get("file") or part.get("source") or part
    data = holder.get("file_data") or holder.get("data") if isinstance(holder, Mapping) else None
    if not isinstance(data, str):
        return IMAGE_TOKENS
    chars = len(data.partition(";base64,")[2] or data)
    return -(-chars // (4 if holder.get("type") == "text" else DOCUMENT_CHARS_PER_TOKEN))
