"""MMLU, Mixtral or GPT-4 (RouteLLM's table): what the choice among models reaches on questions that it has not seen."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from laneway.learning.outcomes import Outcomes

FILE = "routellm_mmlu.csv.gz"
COSTS = {"mixtral": 0.24, "gpt4": 24.7}  # USD per million tokens, as RouteLLM has them (arXiv:2406.18665, section 5)
FLOOR = 0.98
WANTED_APGR, WANTED_CPT50, WANTED_APGR_500 = 0.70, 0.25, 0.62
PUBLISHED_APGR, PUBLISHED_CPT50 = 0.603, 0.354
FEW, DRAWS = 500, 5


def table(data: Path) -> Outcomes:
    from laneway.learning.outcomes import outcomes

    with gzip.open(data / FILE, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["contaminated"] == "0"]
    renamed = [
        {
            "prompt": row["prompt"],
            "type": row["subject"],
            "quality:mixtral": row["mixtral_correct"],
            "quality:gpt4": row["gpt4_correct"],
        }
        for row in rows
    ]
    return outcomes(renamed, name=FILE, stated=COSTS)


def run(data: Path) -> dict[str, Any]:
    from laneway.learning.judging import try_out
    from laneway.learning.verdict import judge

    whole = table(data)
    said = judge(try_out(whole, FLOOR, 0), FLOOR).as_json()
    few = [_apgr(whole, seed) for seed in range(DRAWS)]
    shown = ("apgr", "cpt50", "cpt80", "aiq", "saved", "quality_kept", "undertriage", "overtriage", "verdict", "advice")
    return {
        "rows": len(whole),
        **{name: said[name] for name in shown},
        "apgr_interval": said["intervals"]["apgr"],
        "cpt50_interval": said["intervals"]["cpt50"],
        "apgr_type_mean": said["baselines"]["type_mean"]["apgr"],
        f"apgr_{FEW}_labels": round(float(np.mean(few)), 4),
        f"apgr_{FEW}_labels_all": few,
        "wanted": {"apgr": WANTED_APGR, "cpt50": WANTED_CPT50, f"apgr_{FEW}_labels": WANTED_APGR_500},
        "published": {"apgr": PUBLISHED_APGR, "cpt50": PUBLISHED_CPT50},
    }


def _apgr(whole: Outcomes, seed: int) -> float:
    """Learnt from a few rows, on all others."""
    from laneway.learning.choice import fit
    from laneway.learning.routing import Ranked
    from laneway.triage.learned.choice import Choice

    order = np.random.default_rng(seed).permutation(len(whole))
    few, rest = whole.take(order[:FEW]), whole.take(order[FEW:])
    bound = Choice(fit(few, seed=seed).as_file()).expect(rest.texts, rest.types).bound
    strong, weak = whole.strongest, 1 - whole.strongest
    gain = rest.quality[:, strong] - rest.quality[:, weak]
    return round(Ranked(bound[:, weak] - bound[:, strong], gain).recovered().apgr, 4)
