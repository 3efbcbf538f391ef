"""Logging for people and machines: one line an event, ``key=value`` behind it, no secret in it.

A module logs with ``log.info("what happened", extra={"fields": {"task": 17}})``.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Collection

_SHAPED_LIKE_A_KEY = re.compile(
    r"(?:sk|gsk|xai|pk|rk)-[A-Za-z0-9_\-]{8,}|AIza[0-9A-Za-z_\-]{20,}|(?<=Bearer )\S+|(?<=api-key: )\S+", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
HIDDEN = "[hidden]"


class Redactor(logging.Filter):
    """Replaces known secrets, and whatever is shaped like a key, in everything that is logged."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def add(self, secrets: Collection[str]) -> None:
        self._secrets.update(secret for secret in secrets if len(secret) >= 4)

    def clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _SHAPED_LIKE_A_KEY.sub(HIDDEN, text)


class _Lines(logging.Formatter):
    def __init__(self, redactor: Redactor, as_json: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._json = as_json

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = dict(getattr(record, "fields", {}))
        message = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._json:
            import orjson

            data = {
                "time": record.created,
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": message,
            }
            text = orjson.dumps({**data, **fields, **({"trace": trace} if trace else {})}, default=str).decode()
        else:
            pairs = "".join(f" {name}={value}" for name, value in fields.items())
            text = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {message}{pairs}"
            text += f"\n{trace}" if trace else ""
        return _CONTROL.sub(" ", self._redactor.clean(text))


def configure(verbosity: int, *, as_json: bool = False, secrets: Collection[str] = ()) -> Redactor:
    """Set up the ``laneway`` logger on stderr: warnings, with one ``-v`` information, with two everything. Returns the
    redactor, which learns further secrets with ``add``."""
    redactor = Redactor()
    redactor.add(secrets)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(redactor, as_json))
    logger = logging.getLogger("laneway")
    for old in list(logger.handlers):
        logger.removeHandler(old)
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel([logging.WARNING, logging.INFO][verbosity] if verbosity < 2 else logging.DEBUG)
    return redactor
