"""What somebody brings: tables, records, batch files, documents, as far as a config and a prompt need to know."""

from __future__ import annotations

import contextlib
import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from laneway.errors import InputError

LOOKED_AT = 500  # rows of a file
MOST_FILES = 5  # of a folder that get a type of their own
TABLES = (".csv", ".tsv", ".xlsx", ".jsonl", ".ndjson")
DOCUMENTS = (".txt", ".md", ".pdf", ".png", ".jpg", ".jpeg", ".webp", ".gif", ".html", ".eml")
OF_THE_PROJECT = ("readme", "license", "licence", "changelog", "contributing", "security", "requirements", "notice")
OURS = (".results.jsonl", ".results.csv", ".errors.jsonl", ".bad.jsonl")


class Shape(StrEnum):
    BATCH = "batch"  # requests as a provider takes them
    RECORDS = "records"
    DOCUMENTS = "documents"


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    always: bool = True  # every row that was looked at has it


@dataclass(frozen=True, slots=True)
class Material:
    """One input. ``argument`` is what `laneway run` is given, ``name`` that of its task type; ``suffixes``: what a
    folder holds, commonest first."""

    argument: str
    shape: Shape
    name: str
    columns: tuple[Column, ...] = ()
    urgencies: tuple[str, ...] = ()  # words in an `urgency` column
    rows: int = 0  # that were looked at; LOOKED_AT: there may be more
    models: tuple[str, ...] = ()  # that a batch file's requests name
    suffixes: tuple[str, ...] = ()


def type_name(path: Path) -> str:
    """A task type's name from a file's or folder's: ``Claims 2026.csv`` → ``claims_2026``."""
    stem = path.stem if path.suffix.casefold() in (*TABLES, *DOCUMENTS) else path.absolute().name
    letters = (char for char in unicodedata.normalize("NFKD", stem.casefold()) if not unicodedata.combining(char))
    plain = "".join(char if char.isascii() and char.isalnum() else "_" for char in letters)
    return "_".join(part for part in plain.split("_") if part) or "documents"


def look(target: Path, argument: str) -> list[Material]:
    """The inputs at a path: a file is one; a folder of documents is one; of another folder its tables and the folders
    of documents in it. Raises InputError for a file that cannot be read or is no input."""
    if not target.is_dir():
        return [_file(target, argument)]
    try:
        entries = sorted(entry for entry in target.iterdir() if not entry.name.startswith((".", "~$")))
    except OSError as error:
        raise InputError(f"{argument} cannot be read: {error.strerror}", hint="check its permissions") from None
    found = []
    for entry in entries:
        if entry.is_file() and entry.suffix.casefold() in TABLES and not entry.name.endswith(OURS):
            with contextlib.suppress(InputError):  # not what its name says: no reason to stop
                found.append(_file(entry, _inside(argument, entry.name)))
    here = _documents(entries)
    if here and argument != ".":
        found.append(Material(argument, Shape.DOCUMENTS, type_name(target), suffixes=here))
    elif here and not found:  # the folder itself holds the config as well: name its documents by their ending
        found.append(Material("*" + here[0], Shape.DOCUMENTS, "documents", suffixes=here[:1]))
    for entry in entries:
        if entry.is_dir() and (inside := _documents_of(entry)):
            found.append(Material(_inside(argument, entry.name), Shape.DOCUMENTS, type_name(entry), suffixes=inside))
    return found[:MOST_FILES]


def _inside(argument: str, name: str) -> str:
    return name if argument == "." else str(Path(argument) / name)


def _documents(entries: Iterable[Path]) -> tuple[str, ...]:
    """The endings of documents among a folder's files, commonest first."""
    counts = Counter(
        entry.suffix.casefold()
        for entry in entries
        if entry.suffix.casefold() in DOCUMENTS
        and not entry.name.casefold().startswith(OF_THE_PROJECT)
        and entry.is_file()
    )
    return tuple(suffix for suffix, _ in counts.most_common())


def _documents_of(folder: Path) -> tuple[str, ...]:
    if folder.name in ("prompts", "schemas", "docs", "node_modules", "venv", "__pycache__"):
        return ()
    try:
        return _documents(itertools.islice((e for e in folder.iterdir() if not e.name.startswith(".")), 10_000))
    except OSError:
        return ()


def _file(path: Path, argument: str) -> Material:
    suffix = path.suffix.casefold()
    from laneway.intake.documents import is_document

    if is_document(suffix) and path.is_file():
        return Material(argument, Shape.DOCUMENTS, type_name(path), suffixes=(suffix,))
    from laneway.setup.sample import sample

    seen = sample(path, LOOKED_AT)
    if seen.is_batch:
        return Material(argument, Shape.BATCH, type_name(path), models=seen.models)
    return of_rows(argument, seen.rows)


def of_rows(argument: str, rows: Sequence[Mapping[str, Any]]) -> Material:
    """What a prompt can use of such rows."""
    counts: Counter[str] = Counter(name for row in rows for name in row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    words = dict.fromkeys(word.strip() for row in rows if isinstance(word := row.get("urgency"), str) and word.strip())
    return Material(
        argument,
        Shape.RECORDS,
        type_name(Path(argument)),
        columns=tuple(Column(name, counts[name] == len(rows)) for name in names),
        urgencies=tuple(words),
        rows=len(rows),
    )
