from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """``folder``: where its database is. ``requests_per_minute``: the account's true limit, None: there is none.
    ``at_once``: documents that are under way together."""

    url: str
    folder: Path
    documents: int
    at_once: int
    requests_per_minute: float | None = None
