"""MMLU with the outcomes of other questions: nothing can be learnt, and the advice has to say so and cost nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.routing.mmlu import FILE, FLOOR, table

TABLES, ROWS = 5, 3_000  # shuffled tables, the last one whole
__all__ = ["FILE", "run"]


def run(data: Path) -> dict[str, Any]:
    from laneway.learning.judging import try_out
    from laneway.learning.verdict import Verdict, judge

    whole, reports = table(data), []
    for seed in range(TABLES):
        chance = np.random.default_rng(seed)
        rows = chance.permutation(len(whole))[: ROWS if seed < TABLES - 1 else None]
        part = whole.take(rows)
        shuffled = dataclasses.replace(part, quality=part.quality[chance.permutation(len(part))], reference=None)
        reports.append(judge(try_out(shuffled, FLOOR, seed), FLOOR))
    return {
        "tables": TABLES,
        "declared": all(report.verdict is Verdict.NOT_ROUTABLE for report in reports),
        "declared_of": [report.verdict.value for report in reports],
        "loss": round(max(report.loss for report in reports), 4),
        "apgr": [round(report.recovered.apgr, 4) for report in reports],
        "wanted": {"declared": True, "loss": 0.01},
    }
