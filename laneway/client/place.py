"""Where the server is, and who asks."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from laneway.errors import UsageError
from laneway.version import VERSION

DEFAULT = "http://127.0.0.1:8080"
API = "/api/v1"


@dataclass(frozen=True)
class Place:
    """``base``: the path before every request's."""

    secure: bool
    host: str
    port: int
    base: str
    headers: dict[str, str] = field(repr=False)

    @property
    def origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


def place(url: str | None, token: str | None) -> Place:
    """``url``: as ``laneway serve`` tells it, with /v1 or without; default: LANEWAY_URL, LANEWAY_TOKEN. Raises
    UsageError."""
    url = url or os.environ.get("LANEWAY_URL") or DEFAULT
    token = token or os.environ.get("LANEWAY_TOKEN")
    try:
        parts = urlsplit(url)
        secure, host, port = parts.scheme == "https", parts.hostname, parts.port
    except ValueError as error:
        raise _wrong(str(error)) from None
    if parts.scheme not in ("http", "https") or not host:
        raise _wrong("it is no http or https address")
    if parts.username is not None or parts.query or parts.fragment:
        raise _wrong("it may have no user, query or fragment in it")
    headers = {"Accept": "application/json", "User-Agent": f"laneway-client/{VERSION}"}
    if token:
        headers["Authorization"] = f"Bearer {token.strip()}"
    base = parts.path.rstrip("/").removesuffix("/v1").removesuffix("/api")
    return Place(secure, host, port or (443 if secure else 80), base + API, headers)


def _wrong(why: Any) -> UsageError:
    return UsageError(f"the server's address: {why}", hint=f"as in {DEFAULT}")
