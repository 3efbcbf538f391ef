"""How long a text is in tokens, before any tokenizer is known. Calibrated later by what calls really used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CHARS_PER_TOKEN = 4.0  # of ASCII text (OpenAI, "What are tokens and how to count them")
PER_MESSAGE = 4  # tokens of framing
IMAGE_TOKENS = 1_100  # a picture of about a megapixel


def estimate(text: str) -> int:
    """Tokens of a text: four ASCII characters make one, other scripts need about one for two of their bytes' excess."""
    if not text:
        return 0
    if text.isascii():
        return max(1, round(len(text) / CHARS_PER_TOKEN))
    extra = len(text.encode("utf-8", "replace")) - len(text)
    return max(1, round(len(text) / CHARS_PER_TOKEN + extra / 3))


def estimate_chat(messages: Sequence[Mapping[str, Any]]) -> int:
    """Tokens of Chat Completions or Messages messages, framing included."""
    total = 3
    for message in messages:
        content = message.get("content")
        total += PER_MESSAGE
        if isinstance(content, str):
            total += estimate(content)
        elif isinstance(content, list):
            for part in content:
                text = part.get("text") if isinstance(part, Mapping) else None
                total += estimate(text) if isinstance(text, str) else IMAGE_TOKENS
    return total
