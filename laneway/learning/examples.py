"""Tables to learn from, read as tasks are: CSV, TSV, JSONL, spreadsheets, and any text among them packed as ``.gz``."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from laneway.errors import InputError
from laneway.intake.draft import BadLine
from laneway.intake.reading import rows as rows_of
from laneway.intake.source import Source
from laneway.intake.tables import SHEETS
from laneway.task import Urgency

TEXT_COLUMNS = ("text", "prompt")
MOST_ROWS = 1_000_000
MOST_CHARACTERS = 1_000_000_000  # of all cells
MOST_UNREADABLE = 0.1  # of the rows; with more the file is probably not what it was taken for
MOST_LABELS = 1_000
LONGEST_LABEL = 200  # characters
LEAST_TEXTS = 5  # different ones, of a label, so that each part of a cross-validation has one
FIELDS: Mapping[
    str, tuple[str, ...] | None
] = {  # what is learnt from labels: its words, rising; None: the caller's own
    "category": None,
    "urgency": tuple(urgency.label for urgency in sorted(Urgency, reverse=True)),
    "complexity": ("low", "medium", "high"),
}


class Unreadable(NamedTuple):
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """``rows`` by column name, in the file's order; ``lines``: where each begins. ``columns``: every name that occurs.
    ``unreadable``: rows left out because they could not be read."""

    name: str
    rows: Sequence[Mapping[str, Any]] = field(repr=False)
    lines: Sequence[int] = field(repr=False)
    columns: Sequence[str]
    unreadable: Sequence[Unreadable] = ()

    def column(self, wanted: Sequence[str], what: str, option: str) -> str:
        """The first of ``wanted`` that the table has. Raises InputError that says what there is."""
        for name in wanted:
            if name in self.columns:
                return name
        shown = ", ".join(self.columns[:20]) + (" …" if len(self.columns) > 20 else "")
        raise InputError(
            f"{self.name} has no column {' or '.join(wanted)}", hint=f"say with {option} which holds {what}: {shown}"
        )

    def text_column(self, given: str | None = None) -> str:
        """Raises InputError."""
        return self.column((given,) if given is not None else TEXT_COLUMNS, "the text", "--text")


def read_table(argument: str) -> Table:
    """``argument``: a file, or - for standard input. Raises InputError for what is no table, empty or too large."""
    source = Source(argument, unpack=True)
    with contextlib.closing(source):
        if source.suffix in SHEETS and source.path is not None and source.path.suffix.casefold() == ".gz":
            raise InputError(f"{argument}: a spreadsheet is read unpacked", hint="unpack it first")
        return _table(source.name, rows_of(source))


def _table(name: str, read: Iterator[tuple[int, bytes, dict[str, Any]] | BadLine]) -> Table:
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    unreadable: list[Unreadable] = []
    columns: dict[str, None] = {}
    size = 0
    for row in read:
        if isinstance(row, BadLine):
            unreadable.append(Unreadable(row.line, row.reason))
            if len(unreadable) == 100 and len(unreadable) > MOST_UNREADABLE * len(rows):
                break
            continue
        line, raw, record = row
        columns.update(dict.fromkeys(record))
        rows.append(record)
        lines.append(line)
        size += len(raw)
        if len(rows) > MOST_ROWS or size > MOST_CHARACTERS:
            raise InputError(
                f"{name} has more than {MOST_ROWS:,} rows" if len(rows) > MOST_ROWS else f"{name} is too large",
                hint="take a sample of it, drawn at random: some ten thousand rows teach as much",
            )
    if len(unreadable) > MOST_UNREADABLE * (len(rows) + len(unreadable)):
        first = unreadable[0]
        raise InputError(
            f"{name}, line {first.line}: {first.reason[:200]}"
            + (f" ({len(unreadable):,} lines are unreadable)" if len(unreadable) > 1 else ""),
            hint="give a .csv, .tsv or .xlsx file with a header line, or .jsonl with one object a line",
        )
    if not rows:
        raise InputError(f"{name} has no rows", hint="give examples, one a row, under a line with the columns' names")
    return Table(name, rows, lines, list(columns), unreadable)


# labels ---------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Examples:
    """Texts and what a person said of each. ``labels`` are words of ``classes``; urgencies and complexities in rising
    order, categories by name. ``left_out``: why rows were not used, and how many."""

    about: str
    texts: Sequence[str] = field(repr=False)
    labels: Sequence[str] = field(repr=False)
    classes: Sequence[str]
    left_out: Mapping[str, int]

    @property
    def counts(self) -> Counter[str]:
        """Different texts of each label: what is there twice teaches no more."""
        return Counter(label for label, _ in set(zip(self.labels, self.texts, strict=True)))


def labelled(
    table: Table,
    about: str,
    *,
    text: str | None = None,
    column: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Examples:
    """``about``: one of FIELDS. ``text``, ``column``: where text and label stand, if their columns are called
    otherwise. ``aliases``: other words for labels. Raises InputError for a missing column, a word that is no label, or
    too little to learn from."""
    of_text = table.text_column(text)
    of_label = table.column((column,) if column is not None else (about, "label"), f"the {about}", "--column")
    words = FIELDS[about]
    known = None if words is None else {**(aliases or {}), **{word: word for word in words}}
    texts: list[str] = []
    labels: list[str] = []
    left_out: Counter[str] = Counter()
    if table.unreadable:
        left_out["could not be read"] = len(table.unreadable)
    for line, row in zip(table.lines, table.rows, strict=True):
        cell, label = as_text(row.get(of_text)), " ".join(as_text(row.get(of_label)).split())
        if not cell.strip() or not label:
            left_out[f"have no {of_text if not cell.strip() else of_label}"] += 1
            continue
        if known is not None:
            label = _known(label, about, known, f"{table.name}, line {line}")
        elif len(label) > LONGEST_LABEL:
            raise InputError(
                f"{table.name}, line {line}: its {of_label} is {len(label):,} characters long, and no label",
                hint="say with --column which column holds the label",
            )
        texts.append(cell)
        labels.append(label)
    return _enough(Examples(about, texts, labels, words or sorted(set(labels)), left_out), table.name, of_label)


def _known(label: str, about: str, known: Mapping[str, str], where: str) -> str:
    try:
        return known[label.casefold()]
    except KeyError:
        words = ", ".join(dict.fromkeys(known.values()))
        hint = f"the words are {words}" + (", and the aliases in laneway.toml" if about == "urgency" else "")
        raise InputError(f"{where}: {label[:60]!r} is no {about}", hint=hint) from None


def _enough(examples: Examples, name: str, column: str) -> Examples:
    """Without labels that are too rare to learn. Raises InputError where fewer than two are left, or far too many."""
    counts = examples.counts
    if len(counts) > MOST_LABELS and sum(n < LEAST_TEXTS for n in counts.values()) < 0.5 * len(counts):
        raise _too_many(name, column, counts)
    rare = {label for label, n in counts.items() if n < LEAST_TEXTS}
    kept = [label for label in examples.classes if counts[label] >= LEAST_TEXTS]
    if len(kept) < 2:
        if len(counts) > MOST_LABELS:
            raise _too_many(name, column, counts)
        there = ", ".join(f"{label[:40]} ({n})" for label, n in counts.most_common(8)) or "none"
        raise InputError(
            f"{name}: two labels are needed, each of {LEAST_TEXTS} different texts or more, to tell one from the other;"
            f" the column {column} has {there}",
            hint="label more rows, or say with --column where the label stands",
        )
    if len(kept) > MOST_LABELS:
        raise _too_many(name, column, counts)
    if not rare:
        return Examples(examples.about, examples.texts, examples.labels, kept, examples.left_out)
    left_out, rows_of_label = dict(examples.left_out), Counter(examples.labels)
    shown = sorted(rare, key=lambda label: (-counts[label], label))[:20]
    for label in shown:
        left_out[f"are of {label[:60]!r}, which has fewer than {LEAST_TEXTS}"] = rows_of_label[label]
    if len(rare) > 20:
        more = sum(rows_of_label[label] for label in rare.difference(shown))
        left_out[f"are of {len(rare) - 20:,} other labels with fewer than {LEAST_TEXTS}"] = more
    rows = [row for row, label in enumerate(examples.labels) if label not in rare]
    return Examples(
        examples.about,
        [examples.texts[row] for row in rows],
        [examples.labels[row] for row in rows],
        kept,
        left_out,
    )


def _too_many(name: str, column: str, counts: Counter[str]) -> InputError:
    return InputError(
        f"{name}: the column {column} has {len(counts):,} different values; at most {MOST_LABELS:,} labels are learnt",
        hint="say with --column which column holds the label",
    )


def as_text(value: Any) -> str:
    """A cell or JSON value as text; what is no text, as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
