"""From an argument to drafts: which format is it, and who reads it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from laneway.config.models import Config
from laneway.errors import InputError
from laneway.intake.batch.lines import BatchLines, is_batch_line
from laneway.intake.batch.post_body import is_post_body, requests
from laneway.intake.draft import BadLine, Draft
from laneway.intake.kind import Kind
from laneway.intake.options import ReadOptions
from laneway.intake.source import Source

if TYPE_CHECKING:
    from laneway.intake.records import Records

TABLES = (".csv", ".tsv")
LOOKED_AT = 20  # lines, until one of them is JSON and tells the format


class Reading:
    """Iterate it for ``Draft | BadLine``. ``columns`` (of records) is complete when the iteration is."""

    def __init__(self, source: Source, kind: Kind, config: Config, options: ReadOptions) -> None:
        self.kind = kind
        self.name = source.name
        self._source = source
        self._config = config
        self._options = options
        self._records: Records | None = None
        if kind is Kind.RECORDS:
            from laneway.intake.records import Records

            self._records = Records(config, options)

    @property
    def columns(self) -> list[str]:
        return list(self._records.columns) if self._records else []

    def side_file(self) -> Path:
        """Where skipped lines are kept: ``<stem>.bad.jsonl`` beside the input."""
        path = self._source.path
        return Path("stdin.bad.jsonl") if path is None else path.with_name(path.stem + ".bad.jsonl")

    def close(self) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[Draft | BadLine]:
        for draft in itertools.islice(self._all(), self._options.limit):
            if isinstance(draft, BadLine) or self._options.samples == 1:
                yield draft
                continue
            for n in range(1, self._options.samples + 1):
                yield dataclasses.replace(draft, key=f"{draft.key}#{n}")

    def _all(self) -> Iterator[Draft | BadLine]:
        if self._records is None:
            lines = requests(self._source) if is_post_body(self._source) else self._source.lines()
            return BatchLines(self._config, self._options).drafts(lines)
        from laneway.intake.records import csv_rows, jsonl_rows

        rows = csv_rows(self._source) if self._source.suffix in TABLES else jsonl_rows(self._source)
        return self._records.drafts(rows)


def open_reading(argument: str, config: Config, options: ReadOptions) -> Reading:
    """Recognise the format of an input. Raises InputError for a missing, empty or unknown one."""
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit {options.limit}", hint="give a number of tasks, 1 or more")
    if options.samples < 1:
        raise InputError(f"--samples {options.samples}", hint="give a number of answers for each task, 1 or more")
    source = Source(argument)
    try:
        return Reading(source, _detect(source, options), config, options)
    except BaseException:
        source.close()
        raise


def _detect(source: Source, options: ReadOptions) -> Kind:
    if source.suffix in TABLES:
        return Kind.RECORDS
    if source.suffix in (".pdf", ".xlsx", ".xls", ".docx", ".parquet", ".zip", ".gz"):
        raise InputError(
            f"{source.name}: files of this kind are not read by this version", hint="save it as .jsonl or .csv (UTF-8)"
        )
    if is_post_body(source):
        return _batch(source, options)
    first = True
    for _, raw in itertools.islice(source.lines(), LOOKED_AT):
        if isinstance(raw, BadLine):
            continue
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError:
            if first and raw[:1] not in b"{[":
                raise InputError(
                    f"{source.name} is neither JSONL nor a table",
                    hint="one JSON object a line, or a .csv file with a header line",
                ) from None
            first = False
            continue
        return _batch(source, options) if is_batch_line(line) else Kind.RECORDS
    return Kind.RECORDS


def _batch(source: Source, options: ReadOptions) -> Kind:
    if options.prompt is not None:
        raise InputError(
            f"{source.name} holds complete requests, to which a prompt cannot be added",
            hint="leave --prompt away, or give records",
        )
    return Kind.BATCH
