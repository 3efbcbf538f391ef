"""What a client asks of Laneway besides the answer: by headers, or by fields of the body's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laneway.config.models import Config
from laneway.errors import InputError
from laneway.intake.records import LONGEST_KEY, tags_of
from laneway.server.caller import Caller
from laneway.server.tokens.allowing import check_urgency
from laneway.task import Urgency


@dataclass(frozen=True, slots=True)
class Wishes:
    key: str | None = None
    lane: str | None = None
    urgency: str | None = None
    tags: tuple[str, ...] = ()

    def level(self, config: Config, otherwise: Urgency, caller: Caller) -> Urgency:
        """Raises InputError for a word that is no urgency, Refusal for one above the caller's highest."""
        if not self.urgency:
            return otherwise
        try:
            wish = config.urgency_of(self.urgency)
        except ValueError as error:
            raise InputError(str(error)) from None
        check_urgency(caller, wish)
        return wish


def wishes_of(headers: Mapping[str, str], metadata: Mapping[str, Any]) -> Wishes:
    """Headers go before metadata. Raises InputError for a key that is too long."""
    key = headers.get("idempotency-key", _word(metadata, "idempotency_key"))
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InputError(f"an Idempotency-Key has up to {LONGEST_KEY} characters")
    return Wishes(
        key,
        headers.get("x-laneway-lane") or _word(metadata, "lane"),
        headers.get("x-laneway-urgency") or _word(metadata, "urgency"),
        tuple(dict.fromkeys((*tags_of(headers.get("x-laneway-tags")), *tags_of(metadata.get("tags"))))),
    )


def _word(metadata: Mapping[str, Any], name: str) -> str | None:
    value = metadata.get(name)
    return value if isinstance(value, str) and value else None
