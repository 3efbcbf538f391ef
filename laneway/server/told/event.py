"""One server-sent event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson


def named(data: Mapping[str, Any]) -> bytes:
    """With its type as its name, too: Anthropic's clients and those of Responses go by either."""
    return b"event: " + str(data["type"]).encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"
