"""What the owner of a token holds, and what is kept of it."""

from __future__ import annotations

import secrets
from hashlib import sha256

PREFIX = "lw_"  # so that scanners find one that was left in a repository


def new_secret() -> str:
    """256 bits: too many to be guessed, so a plain hash of it may be kept."""
    return PREFIX + secrets.token_urlsafe(32)


def digest_of(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
