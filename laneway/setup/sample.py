"""The first rows of an input, through the readers that a run uses."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from laneway.intake.draft import BadLine
from laneway.intake.kind import Kind
from laneway.intake.options import ReadOptions
from laneway.intake.reading import detect, lines, rows
from laneway.intake.source import Source


@dataclass(frozen=True, slots=True)
class Sample:
    is_batch: bool
    rows: tuple[Mapping[str, Any], ...] = ()
    models: tuple[str, ...] = ()  # that a batch's requests name


def sample(path: Path, most: int) -> Sample:
    """At most so many rows. Lines that cannot be used are passed over. Raises InputError as a run would."""
    with closing(Source(str(path))) as source:
        if detect(source, ReadOptions()) is not Kind.RECORDS:
            named = (_model(raw) for _, raw in itertools.islice(lines(source), most) if isinstance(raw, bytes))
            return Sample(True, models=tuple(dict.fromkeys(filter(None, named))))
        good = (row[2] for row in rows(source) if not isinstance(row, BadLine))
        return Sample(False, tuple(itertools.islice(good, most)))


def _model(raw: bytes) -> str:
    try:
        line = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ""
    body = (line.get("body") or line.get("params")) if isinstance(line, dict) else None
    named = body.get("model") if isinstance(body, dict) else None
    return named if isinstance(named, str) else ""
