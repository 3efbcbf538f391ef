"""A table of outcomes: what several models made of the same tasks. Columns ``quality:NAME`` (0 to 1, or true and false)
and, optionally, ``cost:NAME`` (USD for that task), ``type``, ``answer:NAME``; the text under ``text`` or ``prompt``."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laneway.errors import InputError

QUALITY, COST = "quality:", "cost:"
TEXT_COLUMNS = ("text", "prompt")
MOST_MODELS = 50
MOST_ROWS = 1_000_000
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """``quality`` and ``cost``: (tasks, models), NaN where the table says nothing. ``unit`` of the costs: "usd" as the
    table or the prices say, "relative" as they were stated, "calls" where nobody said anything: the better model is
    taken to cost 1 and the weaker nothing."""

    texts: Sequence[str]
    types: Sequence[str | None]
    models: tuple[str, ...]
    quality: Floats = field(repr=False)
    cost: Floats = field(repr=False)
    unit: str = "usd"
    reference: int | None = None  # the strongest of the table that these rows are a part of

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def means(self) -> Floats:
        return np.asarray(np.nanmean(self.quality, axis=0))

    @property
    def costs(self) -> Floats:
        """Of a task on each model, on average."""
        return np.asarray(np.nanmean(self.cost, axis=0))

    @property
    def strongest(self) -> int:
        """The best on the whole, the cheaper of equals."""
        if self.reference is not None:
            return self.reference
        return max(range(len(self.models)), key=lambda model: (self.means[model], -self.costs[model]))

    @property
    def complete(self) -> Whole:
        """Rows that say of every model how good it was."""
        return np.flatnonzero(~np.isnan(self.quality).any(axis=1))

    def take(self, rows: Whole) -> Outcomes:
        texts, types = [self.texts[row] for row in rows], [self.types[row] for row in rows]
        return Outcomes(texts, types, self.models, self.quality[rows], self.cost[rows], self.unit, self.strongest)

    def digest(self) -> str:
        """The same for the same tasks in whichever order."""
        joined = b"".join(sorted(hashlib.sha256(text.encode()).digest()[:8] for text in self.texts))
        return hashlib.sha256(joined).hexdigest()[:16]


def outcomes(
    rows: Iterable[Mapping[str, Any]],
    *,
    name: str = "the table",
    text: str | None = None,
    stated: Mapping[str, float] | None = None,
    prices: Mapping[str, tuple[float, float]] | None = None,
) -> Outcomes:
    """From the rows of a table. ``text``: the column with the text, if it is called otherwise. ``stated``: what a task
    costs by model, relative to the others. ``prices``: USD per million tokens, input and output.

    Raises InputError that says what is missing, with the row.
    """
    records = list(rows)
    if not records:
        raise InputError(f"{name} has no rows", hint=_FORMAT)
    if len(records) > MOST_ROWS:
        raise InputError(f"{name} has more than {MOST_ROWS:,} rows", hint="take a sample of them")
    columns = list(dict.fromkeys(column for record in records for column in record))
    models = models_of(columns, name)
    column = _text_column(columns, text, name)
    quality = np.array(
        [[_quality(record, model, row, name) for model in models] for row, record in enumerate(records, 1)]
    )
    kept = np.flatnonzero(~np.isnan(quality).all(axis=1))
    for model, values in zip(models, quality.T, strict=True):
        if np.isnan(values).all():
            raise InputError(f"{name}: {QUALITY}{model} is empty in every row", hint="fill it or leave the column out")
    records, quality = [records[row] for row in kept], quality[kept]
    texts = ["" if (value := record.get(column)) is None else str(value) for record in records]
    types = [_type(record.get("type")) for record in records]
    cost, unit = _costs(records, columns, models, quality, texts, name, stated or {}, prices or {})
    return Outcomes(texts, types, models, quality, cost, unit)


_FORMAT = "a table of outcomes has the columns text, quality:SMALL, quality:LARGE and, if you can, type, cost:SMALL, …"


def is_outcomes(columns: Iterable[str]) -> bool:
    return any(column.startswith(QUALITY) for column in columns)


def models_of(columns: Sequence[str], name: str) -> tuple[str, ...]:
    models = tuple(column.removeprefix(QUALITY).strip() for column in columns if column.startswith(QUALITY))
    if len(models) < 2:
        few = f"only one model, {models[0]}" if models else "no column quality:NAME"
        raise InputError(f"{name} has {few}: there is nothing to choose from", hint=_FORMAT)
    if len(models) > MOST_MODELS or len(set(models)) < len(models) or not all(models):
        raise InputError(f"{name}: its {len(models)} columns quality:NAME are too many or not told apart", hint=_FORMAT)
    return models


def _text_column(columns: Sequence[str], given: str | None, name: str) -> str:
    for column in (given,) if given is not None else TEXT_COLUMNS:
        if column in columns:
            return column
    raise InputError(
        f"{name} has no column {given or 'text'}",
        hint=f"say with --text which of its columns holds the text: {', '.join(map(str, columns[:12]))}",
    )


def _quality(record: Mapping[str, Any], model: str, row: int, name: str) -> float:
    value = _number(record.get(QUALITY + model), f"{name}, row {row}: {QUALITY}{model}")
    if not math.isnan(value) and not 0.0 <= value <= 1.0:
        raise InputError(
            f"{name}, row {row}: {QUALITY}{model} is {value:g}, and a quality goes from 0 to 1",
            hint="divide scores by the best that can be had (stars by 5, per cent by 100), so that 1 is perfect",
        )
    return value


def _number(value: Any, where: str) -> float:
    if value is None or (isinstance(value, str) and not value.strip()):
        return math.nan
    try:
        number = _WORDS[folded] if (folded := str(value).strip().casefold()) in _WORDS else float(value)
    except (TypeError, ValueError):
        raise InputError(f"{where} is {str(value)[:40]!r}, not a number", hint=_FORMAT) from None
    if math.isinf(number):
        raise InputError(f"{where} is infinite", hint=_FORMAT)
    return number


def _type(value: Any) -> str | None:
    return None if value is None or not str(value).strip() else str(value).strip()


def _costs(
    records: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    models: tuple[str, ...],
    quality: Floats,
    texts: Sequence[str],
    name: str,
    stated: Mapping[str, float],
    prices: Mapping[str, tuple[float, float]],
) -> tuple[Floats, str]:
    """The table's own, else as stated, else from prices, else counted in calls of the better of two models."""
    if unknown := [model for model in stated if model not in models]:
        raise InputError(f"{name} has no model {unknown[0]}", hint=f"it has {', '.join(models)}")
    if stated:
        if missing := [model for model in models if model not in stated]:
            raise InputError(f"what does {missing[0]} cost?", hint=f"give every model's: {_example(models)}")
        return np.tile([float(stated[model]) for model in models], (len(records), 1)), "relative"
    if any(COST + model in columns for model in models):
        return _own_costs(records, columns, models, name), "usd"
    if all(model in prices for model in models):
        lengths = np.array([len(text) for text in texts]) / 4.0  # characters of a token, about
        each = [prices[model][0] * lengths + prices[model][1] * ANSWER_TOKENS for model in models]
        return np.array(each).T / 1e6, "usd"
    if len(models) == 2:
        better = int(np.argmax(np.nanmean(quality, axis=0)))
        return np.tile([float(at == better) for at in range(2)], (len(records), 1)), "calls"
    raise InputError(
        f"{name} does not say what its {len(models)} models cost",
        hint=f"add columns cost:NAME (USD for the task), or say how they compare: {_example(models)}",
    )


ANSWER_TOKENS = 300.0  # of an answer, where only prices are known


def _own_costs(
    records: Sequence[Mapping[str, Any]], columns: Sequence[str], models: tuple[str, ...], name: str
) -> Floats:
    """Empty cells get their model's average."""
    found = np.empty((len(records), len(models)))
    for at, model in enumerate(models):
        own = [_number(record.get(COST + model), f"{name}: {COST}{model}") for record in records]
        values = np.array(own)
        if np.isnan(values).all() or np.nanmin(values) < 0:
            wrong = "is missing or empty" if np.isnan(values).all() else "is negative in a row"
            raise InputError(f"{name}: {COST}{model} {wrong}", hint=f"fill it, or say instead: {_example(models)}")
        found[:, at] = np.where(np.isnan(values), np.nanmean(values), values)
    return found


def _example(models: Sequence[str]) -> str:
    return " ".join(f"--cost {model}={10**at}" for at, model in enumerate(models[:3])) + (
        " …" if len(models) > 3 else ""
    )
