"""Texts made short enough to be shown."""

from __future__ import annotations


def shortened(text: str, most: int) -> str:
    """At most ``most`` characters and a few: the beginning and the end, and how much was left out between them."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail]} […{len(text) - most:,} characters left out…] {text[-tail:]}"
