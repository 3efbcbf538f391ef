"""Records, one task each: JSON objects a line, or the rows of a table."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from laneway.config.models import Config, TypeConfig
from laneway.config.templates import Templates
from laneway.errors import InputError, NoPrompt
from laneway.intake.draft import BadLine, Draft
from laneway.intake.options import ReadOptions, RecordType
from laneway.intake.prompts import PromptType, Rendered
from laneway.intake.tables import Row
from laneway.task import Urgency
from laneway.triage.patient import Pins

KEY_FIELDS = ("custom_id", "id", "key")
LONGEST_KEY = 512


class Records:
    """Turns records into drafts. ``columns`` grows as they are read: every name that occurred, in order."""

    def __init__(self, config: Config, options: ReadOptions, what: str = "records") -> None:
        self._config = config
        self._what = what  # they are, for messages
        self._options = options
        self._templates = Templates(config.folder)
        self._types: dict[str, PromptType] = {}
        self._repeats: Counter[int] = Counter()
        self.columns: dict[str, None] = {}  # in order
        self._only = self._given_type()

    def drafts(self, rows: Iterator[Row | BadLine]) -> Iterator[Draft | BadLine]:
        for row in rows:
            yield row if isinstance(row, BadLine) else self._draft(*row)

    @property
    def texts_only(self) -> bool:
        """A function's arguments are values; no model sees a document beside them."""
        return self._options.calls is not None

    def _given_type(self) -> RecordType | None:
        options, config = self._options, self._config
        if options.calls is not None:
            return options.calls
        if options.prompt is not None:
            path = options.prompt if options.prompt.is_absolute() else Path.cwd() / options.prompt
            settings = config.prompt_types.get(options.type or "", TypeConfig()).model_copy(update={"prompt": path})
            return PromptType(config, options.type or options.prompt.stem, settings, self._templates)
        if options.type is not None and config.prompt_types:
            return self._type(options.type)
        if not config.prompt_types:
            unknown = f"there is no task type {options.type!r}, and none at all" if options.type else ""
            raise NoPrompt(
                unknown or f"{self._what} need a task type",
                hint="give --type NAME, or a prompt template with --prompt FILE, or let `laneway init` write both",
            )
        return None

    def _type(self, name: str) -> PromptType:
        if name not in self._types:
            self._types[name] = PromptType(self._config, name, None, self._templates)
        return self._types[name]

    def _draft(self, line: int, raw: bytes, record: dict[str, Any]) -> Draft | BadLine:
        for name in record:
            self.columns.setdefault(name)
        try:
            kind = self._only or self._type(self._type_of(record))
            rendered = kind.render(record)
            key = self._key(kind, record, rendered)
            pins = self.pins(record)
        except InputError as error:
            return BadLine(line, error.message, raw)
        return Draft(
            line=line,
            key=key,
            spec=kind.spec,
            body=rendered.body,
            text=rendered.text,
            input_tokens=rendered.input_tokens,
            output_tokens=rendered.output_tokens,
            pins=pins,
            tags=tags_of(record.get("tags")),
            fields=record,
            record=orjson.dumps(record),
            deadline=_deadline(record.get("deadline")),
        )

    def one_type(self) -> RecordType:
        """The type of all tasks, where there are no columns that could name one. Raises InputError."""
        if self._only is not None:
            return self._only
        try:
            return self._type(self._type_of({}))
        except InputError:
            raise InputError(
                f"which task type is it? There are {', '.join(self._config.prompt_types)}",
                hint="give one with --type NAME, or a prompt template with --prompt FILE",
            ) from None

    def _type_of(self, record: Mapping[str, Any]) -> str:
        named = record.get("type") or self._config.defaults.type
        if named:
            return str(named)
        if len(self._config.prompt_types) == 1:
            return next(iter(self._config.prompt_types))
        names = ", ".join(self._config.prompt_types)
        raise InputError(f"no task type: give the record a `type` column, or the command --type ({names})")

    def _key(self, kind: RecordType, record: Mapping[str, Any], rendered: Rendered) -> str:
        names = (kind.key_field,) if kind.key_field else KEY_FIELDS
        for name in names:
            value = record.get(name)
            if value is not None and value != "":
                key = str(value)
                if len(key) > LONGEST_KEY:
                    raise InputError(f"its {name} is longer than {LONGEST_KEY} characters")
                return key
        if kind.key_field:
            raise InputError(f"it has no {kind.key_field}, the key of type {kind.name}")
        return self._by_content(kind.name, rendered.body)

    def _by_content(self, type_name: str, body: bytes) -> str:
        """Equal rows are told apart by their count, so that a row put in elsewhere does not shift the others."""
        digest = hashlib.blake2b(type_name.encode() + b"\0" + body, digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        self._repeats[number] += 1
        n = self._repeats[number]
        return f"row-{digest.hex()}" + (f"-{n}" if n > 1 else "")

    def pins(self, record: Mapping[str, Any]) -> Pins:
        """The command's options, else the record's own columns where they name something configured."""
        options, config = self._options, self._config
        urgency: Urgency | None = options.urgency
        word = record.get("urgency")
        if urgency is None and isinstance(word, str) and word.strip():
            try:
                urgency = config.urgency_of(word)
            except ValueError as error:
                raise InputError(str(error)) from None
        lane, model = record.get("lane"), record.get("model")
        pinned_model = options.model or (model if isinstance(model, str) and model in config.models else None)
        return Pins(
            lane=options.lane or (lane if isinstance(lane, str) and lane in config.lanes else None),
            urgency=urgency,
            model=None if options.triage and not options.model else pinned_model,
            by="the command" if options.lane or options.model or options.urgency is not None else "the record",
        )


def json_rows(lines: Iterable[tuple[int, bytes | BadLine]], *, values: bool = False) -> Iterator[Row | BadLine]:
    """A record for each JSON object. ``values``: anything else is a record with one ``value``."""
    for line, raw in lines:
        if isinstance(raw, BadLine):
            yield raw
            continue
        try:
            record = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            yield BadLine(line, f"not JSON: {error}", raw)
            continue
        if isinstance(record, dict):
            yield line, raw, record
        elif values:
            yield line, raw, {"value": record}
        else:
            yield BadLine(line, "not a JSON object", raw)


def tags_of(value: Any) -> tuple[str, ...]:
    """Tags from a list, or from a text with commas between them."""
    if isinstance(value, list):
        return tuple(str(tag) for tag in value)
    return tuple(tag.strip() for tag in value.split(",") if tag.strip()) if isinstance(value, str) else ()


def _deadline(value: Any) -> float | None:
    """Seconds since 1970 from a number or an ISO 8601 time (UTC where it names no zone); None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        when = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
