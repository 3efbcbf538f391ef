"""Limits as people read them."""

from __future__ import annotations

from laneway.app.views.accounts import Limit
from laneway.server.dashboard.words import number

NAMES = {
    "requests_per_second": "requests a second",
    "requests_per_minute": "requests a minute",
    "requests_per_day": "requests a day",
    "input_tokens_per_minute": "input tokens a minute",
    "output_tokens_per_minute": "output tokens a minute",
    "tokens_per_minute": "tokens a minute",
    "concurrency": "calls at once",
    "weight": "weight",
}
SOURCES = {"config": "configured", "headers": "told by the provider", "found": "found by trying"}


def limit_name(limit: str) -> str:
    return NAMES.get(limit, limit.replace("_", " "))


def limit_said(limit: Limit) -> str:
    """``600 requests a minute``."""
    return f"{number(limit.value)} {limit_name(limit.name)}"


def limit_source(limit: Limit) -> str:
    return SOURCES.get(limit.source or "", "")
