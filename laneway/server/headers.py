"""What every answer says to browsers: what a page may load and run, who may frame it, and what may be kept of it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

PAGE = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
DATA = "default-src 'none'; frame-ancestors 'none'; sandbox"  # should a browser ever take it for a page
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),  # without any, browsers say "null" for the origin of our own forms
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)
_HTML = (*ALWAYS, (b"content-security-policy", PAGE.encode()))
_OTHERS = (*ALWAYS, (b"content-security-policy", DATA.encode()))
_OURS = frozenset(name for name, _ in _HTML)
KEPT_NOWHERE = (b"cache-control", b"no-store")


def dress(start: MutableMapping[str, Any]) -> None:
    """Add them to an answer that is about to begin."""
    headers = [pair for pair in start.get("headers", ()) if pair[0].lower() not in _OURS]
    names = {name.lower(): value for name, value in headers}
    headers += _HTML if names.get(b"content-type", b"").startswith(b"text/html") else _OTHERS
    if b"cache-control" not in names:
        headers.append(KEPT_NOWHERE)
    start["headers"] = headers
