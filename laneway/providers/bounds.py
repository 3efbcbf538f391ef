"""Whether a request says how long its answer may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def bounded(body: bytes, params: Mapping[str, Any]) -> bool:
    """``params``: laid under the body. Looked for as bytes, since a body may be large: a quoted name within a text has
    its quotes escaped in JSON."""
    return any(name in params or f'"{name}"'.encode() in body for name in _NAMES)
