"""What of a body's fields can be left out on the way to another format without changing the answer."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

LONGEST_NAME = 40
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)(?:;[\w=.+-]+)*;base64,", re.ASCII)
IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")  # both providers' (their guides to vision)


def foreign_field(
    body: Mapping[str, Any],
    carried: Collection[str],
    without_effect: Collection[str],
    defaults: Mapping[str, Collection[Any]],
) -> str | None:
    """The first field that means something and has no counterpart. ``without_effect``: on the answer, whatever they
    say; ``defaults``: values that say no more than their absence."""
    for name, value in body.items():
        if name in carried or name in without_effect or value is None or value in ([], {}):
            continue
        if name in defaults and value in defaults[name]:
            continue
        return f"the field {named(name)}"
    return None


def named(value: object) -> str:
    """A name out of a body, quoted and bounded."""
    return repr(value if isinstance(value, str) else type(value).__name__)[: LONGEST_NAME + 2]


def data_url(url: str) -> tuple[str, str] | None:
    """(media type, base64 data) of a ``data:`` URL, None when it is another kind of URL."""
    if not url.startswith("data:"):
        return None
    match = _DATA_URL.match(url)
    if match is None:
        raise ValueError("a data URL that is not base64")
    return media_type(match[1]), url[match.end() :]


def data_url_type(url: str) -> str | None:
    """The media type of a ``data:`` URL in base64, without copying its data; None for any other URL."""
    match = _DATA_URL.match(url)
    return media_type(match[1]) if match else None


def media_type(name: str) -> str:
    name = name.casefold()
    return "image/jpeg" if name == "image/jpg" else name


def is_web_url(url: str) -> bool:
    return url.startswith(("https://", "http://"))
