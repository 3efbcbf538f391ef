"""Logging for people and machines: one line an event, ``key=value`` behind it, no secret in it.

A module has ``log = logging.getLogger(__name__)`` and says
``log.info("what happened", extra={"fields": {"task": 17}})``.
Nothing is set up by importing this; the command line calls ``configure`` once.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote

HIDDEN = "[hidden]"
SHORTEST_SECRET = 6  # characters; shorter keys ("none") are words that would be hidden everywhere
LONGEST_VALUE = 8_000  # characters of one message, field or trace
_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
_LOGGERS = ("laneway", "asyncio", "aiohttp", "opentelemetry")  # the others print exceptions of our calls
ABOUT: ContextVar[Mapping[str, Any]] = ContextVar("laneway.about")  # of the work in hand: task, run, account, trace ids
NOTHING: Mapping[str, Any] = {}

_NAMED = r"(?:api[-_]?key|x-goog-api-key|authorization|(?:auth|access|refresh|bearer)[-_]?token|secret|password|passwd)"
_SHAPES = (
    # sk-…, gsk_…, and the like; not the end of a word (task-…, risk-…)
    (
        re.compile(r"(?<![A-Za-z0-9])(?:sk|pk|rk|gsk|xai|hf|ghp|gho|glpat|r8|key)[-_][A-Za-z0-9][A-Za-z0-9_\-]{7,}"),
        HIDDEN,
    ),
    (
        re.compile(
            r"(?<![A-Za-z0-9])(?:AIza[0-9A-Za-z_\-]{20,}|AKIA[0-9A-Z]{12,}|eyJ[\w\-]{8,}\.[\w\-]+(?:\.[\w\-]+)?)"
        ),
        HIDDEN,
    ),
    (re.compile(r"(\b(?:Bearer|Basic)\s+)(?!\[hidden)[A-Za-z0-9._~+/=\-]{4,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # api-key: …, "api_key": "…", ?key=…
    (
        re.compile(
            rf"({_NAMED}[\"\']?\s*[:=]\s*(?:b?[\"\'])?)(?!\[hidden|(?:Bearer|Basic)\s)[^\s\"\',;&}})\]]+", re.IGNORECASE
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"([?&](?:key|token|sig|signature)=)[^&\s\"\']+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"(\w://[^/\s:@\"\']*:)[^/\s@\"\']+(?=@)"), rf"\1{HIDDEN}"),  # ://user:password@host
)
_WORD = re.compile(r"[A-Za-z0-9_\-]*")  # the first two shapes look like words, all others have a sign in them
_SECRET_FIELD = re.compile(_NAMED, re.IGNORECASE)
_NO_SECRET_FIELD = re.compile(r"(?:_env|_file)$", re.IGNORECASE)
# what a terminal would obey, or that would begin a new line or turn the text round
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_NEEDS_QUOTES = re.compile(r"[\s\"=]")


class Quoted(str):
    """Somebody else's words in a log line's arguments, left out where content is hidden: they may quote it."""

    __slots__ = ()


class Redactor:
    """Replaces known secrets, and whatever is shaped like a key, in any text."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        self._secrets: list[str] = []
        self.add(secrets)

    def add(self, secrets: Collection[str]) -> None:
        """Learn secrets, also as they look inside URLs and quoted texts."""
        known = set(self._secrets)
        for secret in secrets:
            if len(secret) >= SHORTEST_SECRET:
                known |= {
                    secret,
                    quote(secret, safe=""),
                    repr(secret)[1:-1],
                    secret.replace("\\", "\\\\").replace('"', '\\"'),
                }
        self._secrets = sorted(known, key=len, reverse=True)  # a secret that begins with another goes first

    def hide(self, text: str) -> str:
        """Without the known secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return text

    def clean(self, text: str) -> str:
        """Without the known secrets, and without what is shaped like one."""
        text = self.hide(text)
        for shape, instead in _SHAPES[:2] if _WORD.fullmatch(text) else _SHAPES:
            text = shape.sub(instead, text)
        return text

    def clean_value(self, value: Any, depth: int = 0) -> Any:
        """The same inside lists and tables. What is no JSON value becomes its text."""
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if abs(value) < 2**53 else str(value)
        if depth < 6 and isinstance(value, Mapping):
            return {
                self.clean(_text(name)): HIDDEN if is_secret_name(_text(name)) else self.clean_value(inner, depth + 1)
                for name, inner in value.items()
            }
        if depth < 6 and isinstance(value, list | tuple | set | frozenset):
            return [self.clean_value(inner, depth + 1) for inner in value]
        return _cut(self.clean(_text(value)))


def configure(verbosity: int, *, json: bool = False, secrets: Collection[str] = ()) -> Redactor:
    """Log to stderr: warnings; with ``verbosity`` 1 information; with 2 everything, and exceptions with their traces.

    ``json``: one object a line. Returns the redactor: ``add`` secrets that become known later, and ``clean`` whatever
    else is shown to people. May be called again; the last call holds.
    """
    redactor = Redactor(secrets)
    handler = _Handler(sys.stderr)
    lines = _JsonLines if json else _Lines
    handler.setFormatter(lines(redactor, json or verbosity > 1))
    level = _LEVELS[max(0, min(verbosity, 2))]
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        for old in [one for one in logger.handlers if isinstance(one, _Handler)]:
            logger.removeHandler(old)
        logger.addHandler(handler)
        logger.setLevel(level if name == "laneway" else max(level, logging.WARNING))
    logging.getLogger("laneway").propagate = False
    return redactor


def learn_secrets(secrets: Collection[str]) -> None:
    """Hide these too from now on, where ``configure`` was called."""
    _configured().redactor.add(secrets)


def hide_content() -> None:
    """From now on the words of exceptions are left out: they may quote a prompt or an answer."""
    _configured().hides_content = True


def crash_text(error: BaseException) -> str:
    """The trace of an unexpected error as logs would show it."""
    return _configured().crash(error)


def speaks_json() -> bool:
    """Whether ``configure`` was asked for one object a line."""
    return isinstance(_configured(), _JsonLines)


def without_secrets(text: str) -> str:
    """A text for people, without the secrets that logs have been told of."""
    return _configured().redactor.hide(text)


def _configured() -> _Lines:
    for handler in logging.getLogger("laneway").handlers:
        if isinstance(handler.formatter, _Lines):
            return handler.formatter
    return _Lines(Redactor(), True)


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """The standard library would print the record as it is, secrets and all."""


class _Lines(logging.Formatter):
    """``12:00:01 warning lost the lease worker=3 task=17``. A trace follows on lines that begin with ``    | ``."""

    def __init__(self, redactor: Redactor, traces: bool) -> None:
        super().__init__()
        self.redactor = redactor
        self._traces = traces
        self.hides_content = False

    def format(self, record: logging.LogRecord) -> str:
        event = self._event(record)
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        pairs = "".join(f" {_flat(name)}={_quoted(value)}" for name, value in event["fields"].items())
        line = f"{stamp} {record.levelname.lower():7} {_flat(event['message'])}{pairs}"
        if event["error"]:
            line += f" error={_quoted(event['error'])}"
        return "\n".join([line, *(f"    | {_flat(part)}" for part in event["trace"].splitlines())])

    def _event(self, record: logging.LogRecord) -> dict[str, Any]:
        try:
            message = self._message(record)
        except Exception as error:  # noqa: BLE001 - a wrong format string must not lose the event
            args = HIDDEN if self.hides_content else _text(record.args)
            message = f"{_text(record.msg)} {args} ({type(error).__name__} while formatting)"
        fields = getattr(record, "fields", None)
        error_text = trace = ""
        if record.exc_info and record.exc_info[1] is not None:
            raised = record.exc_info[1]
            error_text = f"{type(raised).__name__}: {HIDDEN if self.hides_content else _text(raised)}"
            trace = _trace(raised, self.hides_content) if self._traces else ""
        return {
            "message": _cut(self.redactor.clean(message)),
            "fields": self.redactor.clean_value(fields) if isinstance(fields, Mapping) else {},
            "error": _cut(self.redactor.clean(error_text)),
            "trace": _cut(self.redactor.clean(trace)),
        }

    def _message(self, record: logging.LogRecord) -> str:
        if not self.hides_content:
            return _text(record.getMessage())
        if not record.name.startswith("laneway"):  # asyncio names the exception on a second line
            return _text(record.getMessage()).partition("\n")[0]
        args = record.args
        if isinstance(args, tuple):
            args = tuple(HIDDEN if isinstance(one, Quoted) else one for one in args)
        return _text(str(record.msg) % args if args else str(record.msg))

    def crash(self, error: BaseException) -> str:
        """The trace of an error that nobody expected."""
        return self.redactor.clean(_trace(error, self.hides_content))


class _JsonLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        import orjson

        event = self._event(record)
        data: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": event["message"],
        }
        about = {**self.redactor.clean_value(ABOUT.get(NOTHING)), **event["fields"]}
        for name, value in about.items():
            data[f"field_{name}" if name in (*data, "error", "trace") else name] = value
        data |= {name: event[name] for name in ("error", "trace") if event[name]}
        return orjson.dumps(data).decode()


def _trace(error: BaseException, hide_content: bool) -> str:
    """The error's way through the code, and what it came from; ``hide_content``: without any exception's words."""
    if not hide_content:
        try:
            return _text("".join(traceback.format_exception(error)))
        except Exception:  # noqa: BLE001 - an exception whose text cannot be made
            return ""
    parts: list[str] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        parts.insert(0, "".join(traceback.format_tb(at.__traceback__)) + f"{type(at).__name__}: {HIDDEN}\n")
        at = at.__cause__ or at.__context__
    return _text("\n".join(parts))


def _text(value: Any) -> str:
    try:
        return _CONTROL.sub(_space, str(value).encode("utf-8", "replace").decode())
    except Exception:  # noqa: BLE001 - whatever somebody's __str__ raises
        return f"<{type(value).__name__}>"


def _space(match: re.Match[str]) -> str:
    return match[0] if match[0] in "\n\t" else " "


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}… ({len(text):,} characters)"


def _flat(text: str) -> str:
    return text.replace("\n", "\\n").replace("\t", " ")


def _quoted(value: Any) -> str:
    text = _flat(value if isinstance(value, str) else str(value))
    return '"' + text.replace('"', '\\"') + '"' if not text or _NEEDS_QUOTES.search(text) else text


def is_secret_name(name: str) -> bool:
    """Whether what is called so is a secret: ``x-api-key``, ``authorization``; not ``api_key_env``."""
    return bool(_SECRET_FIELD.search(name)) and not _NO_SECRET_FIELD.search(name)
