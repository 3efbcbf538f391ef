"""URLs of stores, for people."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit


def shown(url: str) -> str:
    """The URL without its password, wherever it stands."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    user = f"{parts.username}@" if parts.username else ""
    query = re.sub(r"(?i)(^|&)((?:ssl)?password)=[^&]*", r"\1\2=…", parts.query)
    return urlunsplit(parts._replace(netloc=user + place, query=query)) if parts.netloc else url
