"""What a pilot found, and the table of outcomes that ``laneway triage train`` reads."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from laneway.app.pilot.advice import Advice, Figures, Pair, advise, figures, more
from laneway.files import open_private

LONG = 120  # characters of an answer that two models hardly ever write the same


@dataclass(frozen=True, slots=True)
class Compared:
    """One task on both models: the pair, and what goes into the table."""

    pair: Pair
    prompt: str
    answers: Mapping[str, str]  # by model


@dataclass(frozen=True, slots=True)
class Report:
    """Money in USD; None: a price is unknown."""

    cheap: str
    strong: str
    compared: Sequence[Compared]
    asked: int  # tasks in the sample
    left_out: Mapping[str, int]  # why, and how many
    by: str  # how answers were compared: "judged by MODEL" where one did
    loose: bool  # long texts were compared word by word
    floor: float
    cost: float | None
    judge_cost: float | None
    judged: int
    table: Path

    @property
    def figures(self) -> Figures | None:
        return figures([one.pair for one in self.compared]) if self.compared else None

    @property
    def by_type(self) -> dict[str, Figures]:
        types = sorted({one.pair.type for one in self.compared})
        return {name: figures([one.pair for one in self.compared if one.pair.type == name]) for name in types}

    @property
    def advice(self) -> Advice:
        found = self.figures
        if found is None:
            return Advice.MORE
        said = advise(found, self.floor)
        return Advice.MORE if self.loose and said in (Advice.LEARNED, Advice.STRONG) else said

    @property
    def more(self) -> int | None:
        found = self.figures
        return None if found is None or self.advice is not Advice.MORE else more(found, self.floor)

    def as_json(self) -> dict[str, Any]:
        found = self.figures
        return {
            "models": {"cheap": self.cheap, "strong": self.strong},
            "sample": self.asked,
            **({"tasks": 0} if found is None else found.as_json()),
            "compared_by": self.by,
            "compared_word_by_word": self.loose,
            "judged": self.judged,
            "left_out": dict(self.left_out),
            "by_type": {name: one.as_json() for name, one in self.by_type.items()},
            "quality_floor": self.floor,
            "advice": self.advice.value,
            "more_tasks": self.more,
            "cost_usd": None if self.cost is None else round(self.cost, 8),
            "judge_cost_usd": None if self.judge_cost is None else round(self.judge_cost, 8),
            "table": str(self.table),
        }


def write_table(path: Path, report: Report) -> None:
    """As CSV where the name says so, else JSON lines; for its owner only, as it holds prompts and answers."""
    rows = rows_of(report)
    if path.suffix.casefold() == ".csv":
        buffer = io.StringIO()
        names = list(rows[0]) if rows else ["key", "type", "prompt"]
        writer = csv.DictWriter(buffer, names)
        writer.writeheader()
        writer.writerows(rows)
        data = buffer.getvalue().encode()
    else:
        data = b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)
    with open_private(path, "wb") as file:
        file.write(data)


def rows_of(report: Report) -> list[dict[str, Any]]:
    return [_row(report, one) for one in report.compared]


def _row(report: Report, one: Compared) -> dict[str, Any]:
    pair, cheap, strong = one.pair, report.cheap, report.strong
    return {
        "key": pair.key,
        "type": pair.type,
        "prompt": one.prompt,
        f"quality:{cheap}": pair.cheap,
        f"quality:{strong}": pair.strong,
        f"cost:{cheap}": pair.cheap_cost,
        f"cost:{strong}": pair.strong_cost,
        f"answer:{cheap}": one.answers.get(cheap, ""),
        f"answer:{strong}": one.answers.get(strong, ""),
        "compared_by": report.by,
    }
