"""Signatures after the Standard Webhooks specification, 1.0 (https://www.standardwebhooks.com): HMAC-SHA256 over
``id.timestamp.body``, by each secret of the server, so that a secret can be replaced while receivers know only one.
Each team has secrets of its own, made from the server's."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from laneway.errors import ConfigError

PREFIX = "whsec_"
SHORTEST, LONGEST = 24, 64  # bytes, as the specification has it


def secrets_in(env: Mapping[str, str], name: str) -> list[bytes]:
    """Of that variable: ``whsec_`` and base64, several with blanks or commas between them; [] when it is not set.
    Raises ConfigError, which does not show what is wrong."""
    found = []
    for word in re.split(r"[\s,]+", env.get(name, "").strip()):
        if not word:
            continue
        try:
            secret = base64.b64decode(word.removeprefix(PREFIX), validate=True)
        except binascii.Error:
            secret = b""
        if not word.startswith(PREFIX) or not SHORTEST <= len(secret) <= LONGEST:
            raise ConfigError(
                f"{name} holds something that is no webhook secret",
                hint=f'make one: echo "{PREFIX}$(openssl rand -base64 32)"; several have blanks between them',
            )
        found.append(secret)
    return found


def of_team(secrets: Sequence[bytes], team: str | None) -> list[bytes]:
    """Each one's HMAC-SHA256 of the team's name, so that no team can sign for another's receiver; what is in no team
    has the server's own. No signature can be taken for one of these: what is signed has braces, which no name has."""
    return list(secrets) if team is None else [hmac.digest(secret, team.encode(), hashlib.sha256) for secret in secrets]


def written(secret: bytes) -> str:
    """As receivers' libraries take it."""
    return PREFIX + base64.b64encode(secret).decode()


def signed(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers. ``timestamp``: seconds since 1970, of this delivery."""
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{one}" for one in signatures),
    }
