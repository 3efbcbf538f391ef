"""GSM8K as a cascade: Mixtral answers, and where its answer is probably wrong GPT-4 is asked (RouteLLM's table).

Five-fold; share of calls of GPT-4 by RouteLLM's definitions, which are written out here once more: APGR is the area
under the part of the gap that is recovered, CPT(x) the smallest share of calls that recovers x of it.
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import numpy as np

FILE = "routellm_gsm8k.csv.gz"
WANTED_CPT50, PUBLISHED_CPT50 = 0.20, 0.336
SEEDS = (0, 1, 2)


def run(data: Path) -> dict[str, Any]:
    from laneway.learning.answers import Answered
    from laneway.learning.cascades import judge

    rows = _rows(data / FILE)
    quality = {name: np.array([float(row[f"{name}_correct"]) for row in rows]) for name in ("mixtral", "gpt4")}
    answers = {"mixtral": [row["mixtral_response"] for row in rows]}
    table = Answered([row["prompt"] for row in rows], quality, answers)
    found = []
    for seed in SEEDS:
        judged = judge(table, "mixtral", "gpt4", seed=seed)
        shares, recovered = curve(judged.gain, judged.own, judged.better)
        found.append(
            {
                "apgr": apgr(shares, recovered),
                "cpt50": cpt(shares, recovered, 0.5),
                "cpt80": cpt(shares, recovered, 0.8),
                "floor": 0.98,
                "escalated": judged.escalated,
                "quality_kept": judged.kept,
            }
        )
    means = {name: round(sum(one[name] for one in found) / len(found), 4) for name in found[0]}
    spread = {"cpt50_worst": round(max(one["cpt50"] for one in found), 4)}
    return {"rows": len(rows), **means, **spread, "wanted_cpt50": WANTED_CPT50, "published_cpt50": PUBLISHED_CPT50}


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        return [row for row in csv.DictReader(file) if row["contaminated"].lower() in ("", "0", "false")]


def curve(score: Any, weak: Any, strong: Any) -> tuple[Any, Any]:
    """Shares of calls of the strong model, by falling score, and the part of the gap that each recovers."""
    order = np.argsort(-score, kind="stable")
    gap = strong.mean() - weak.mean()
    recovered = np.concatenate([[0.0], np.cumsum((strong - weak)[order])]) / len(score) / gap
    return np.arange(len(score) + 1) / len(score), recovered


def apgr(shares: Any, recovered: Any) -> float:
    return float(np.trapezoid(recovered, shares))


def cpt(shares: Any, recovered: Any, part: float) -> float:
    return float(shares[np.argmax(recovered >= part)])
