"""From an argument to drafts: which format is it, and who reads it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from laneway.config.models import Config
from laneway.errors import InputError
from laneway.intake.batch.lines import BatchLines, is_batch_line
from laneway.intake.draft import BadLine, Draft
from laneway.intake.json_list import elements, is_list
from laneway.intake.kind import Kind
from laneway.intake.options import ReadOptions
from laneway.intake.places import Files, files_of, stem_of
from laneway.intake.source import Source
from laneway.intake.tables import DELIMITERS, TABLES, table_rows

if TYPE_CHECKING:
    from laneway.intake.tables import Row

LOOKED_AT = 20  # lines, until one of them is JSON and tells the format


class Reading:
    """Iterate it, once, for ``Draft | BadLine``. ``columns`` (of records) is complete when the iteration is."""

    def __init__(
        self,
        name: str,
        kind: Kind,
        items: Iterator[Draft | BadLine],
        options: ReadOptions,
        *,
        columns: Collection[str] = (),
        stem: Path,
        close: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = name
        self.kind = kind
        self._items = items
        self._options = options
        self._columns = columns
        self._stem = stem
        self.close = close

    @property
    def calls(self) -> bool:
        """Whether its tasks are calls of functions, which choose their models themselves."""
        return self._options.calls is not None

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    def side_file(self) -> Path:
        """Where skipped lines are kept: ``<stem>.bad.jsonl`` beside the input."""
        return self._stem.with_name(self._stem.name + ".bad.jsonl")

    def __iter__(self) -> Iterator[Draft | BadLine]:
        left = self._options.limit
        many = self._options.samples
        samples = [""] if many == 1 else [f"#{n}" for n in range(1, many + 1)]
        for item in self._items:
            if isinstance(item, BadLine):
                yield item
                continue
            for sample in samples:
                yield item if not sample else dataclasses.replace(item, key=item.key + sample)
            if left is not None and (left := left - 1) == 0:
                return


def open_reading(argument: str, config: Config, options: ReadOptions) -> Reading:
    """Recognise the format of an input. Raises InputError for a missing, empty or unknown one."""
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit {options.limit}", hint="give a number of tasks, 1 or more")
    if options.samples < 1:
        raise InputError(f"--samples {options.samples}", hint="give a number of answers for each task, 1 or more")
    arguments = (argument, *options.also)
    found = files_of(arguments, _passed_over(config, options))
    if isinstance(found, Files):
        return _documents(found, config, options, stem_of(arguments))
    source = Source(found)
    try:
        if source.path is not None and _is_document(source):
            source.close()
            return _documents(Files(found, [(source.path.name, source.path)]), config, options, stem_of([found]))
        return _tasks(source, config, options)
    except BaseException:
        source.close()
        raise


def _tasks(source: Source, config: Config, options: ReadOptions) -> Reading:
    """Many tasks of one source."""
    kind, stem = detect(source, options), stem_of([source.argument])
    if kind is Kind.BATCH:
        items = BatchLines(config, options).drafts(lines(source))
        return Reading(source.name, kind, items, options, stem=stem, close=source.close)
    from laneway.intake.records import Records

    records = Records(config, options)
    items = records.drafts(rows(source, values=options.calls is not None))
    return Reading(source.name, kind, items, options, columns=records.columns.keys(), stem=stem, close=source.close)


def _documents(files: Files, config: Config, options: ReadOptions, stem: Path) -> Reading:
    from laneway.intake.documents import Documents
    from laneway.intake.records import Records

    by_text = config.triage.reads_texts or any(rule.function or "text" in rule.when for rule in config.rules)
    documents = Documents(files, Records(config, options, "files"), looks_inside=by_text)
    return Reading(files.name, Kind.RECORDS, documents.drafts(), options, columns=documents.columns, stem=stem)


def _passed_over(config: Config, options: ReadOptions) -> set[Path]:
    """What lies in a folder of tasks without being one: the config, its templates, the results."""
    own: list[Path] = [*config.sources, *options.passed_over]
    if options.prompt is not None:
        own.append(options.prompt)
    for settings in config.types.values():
        own += [config.folder / path for path in (settings.prompt, settings.system) if path is not None]
    return {path.resolve() for path in own}


def _is_document(source: Source) -> bool:
    """A text file may also hold JSON lines; anything else says by its ending that it is one document."""
    from laneway.intake.documents import is_document

    return is_document(source.suffix) and not (source.suffix == ".txt" and source.head()[:1] in (b"{", b"["))


def lines(source: Source) -> Iterator[tuple[int, bytes | BadLine]]:
    """The JSON objects of a source, each with the line where it begins: one a line, or all in one document."""
    if is_list(source):
        return elements(source)
    if source.suffix == ".json" and (whole := source.whole()) is not None and _is_json(whole):
        return iter([(1, whole)])
    return source.lines()


def _is_json(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def rows(source: Source, *, values: bool = False) -> Iterator[Row | BadLine]:
    """The records of a source: of a table or of JSON objects, or of any JSON ``values``."""
    from laneway.intake.records import json_rows

    return table_rows(source) if _is_table(source) else json_rows(lines(source), values=values)


def _is_table(source: Source) -> bool:
    """By its ending; standard input has none, but a line of names is no JSON."""
    if source.suffix in TABLES:
        return True
    first = source.head().partition(b"\n")[0]
    return source.stdin and first[:1] not in (b"{", b"[") and any(mark.encode() in first for mark in DELIMITERS)


def detect(source: Source, options: ReadOptions) -> Kind:
    """The format of an input, by its ending and its first lines. Raises InputError for one that is not read."""
    if _is_table(source):
        return Kind.RECORDS
    if source.suffix in (".docx", ".doc", ".rtf", ".odt", ".pptx", ".parquet", ".zip", ".gz"):
        raise InputError(
            f"{source.name}: files of this kind are not read",
            hint="save a document as PDF or text, a table as .csv, .xlsx or .jsonl",
        )
    first = True
    for _, raw in itertools.islice(lines(source), LOOKED_AT):
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
        if options.calls is not None:
            return Kind.RECORDS
        return _batch(source, options) if is_batch_line(line) else Kind.RECORDS
    return Kind.RECORDS


def _batch(source: Source, options: ReadOptions) -> Kind:
    if options.prompt is not None:
        raise InputError(
            f"{source.name} holds complete requests, to which a prompt cannot be added",
            hint="leave --prompt away, or give records",
        )
    return Kind.BATCH
