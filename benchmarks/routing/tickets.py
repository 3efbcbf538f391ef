"""IT tickets of eight topics: 10,000 to learn from, 6,000 to be judged by, each drawn with a seed."""

from __future__ import annotations

import csv
import functools
import gzip
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from laneway.learning.labels import Trained

FILE = "it_service_tickets_47k.csv.gz"
TRAIN, TEST = 10_000, 6_000
SEEDS = (0, 1, 2)
WANTED_F1, WANTED_ECE = 0.83, 0.02

Rows = list[tuple[str, str]]


@functools.cache
def drawn(data: Path, seed: int) -> tuple[Rows, Rows]:
    """(text, topic) to learn from, and to be judged by."""
    with gzip.open(data / FILE, "rt", newline="") as file:
        rows = [(row["Document"], row["Topic_group"]) for row in csv.DictReader(file)]
    random.Random(seed).shuffle(rows)
    return rows[:TRAIN], rows[TRAIN : TRAIN + TEST]


@functools.cache
def trained(data: Path, seed: int) -> Trained:
    from laneway.learning.examples import Examples
    from laneway.learning.labels import train

    texts, labels = zip(*drawn(data, seed)[0], strict=True)
    return train(Examples("category", texts, labels, sorted(set(labels)), {}), seed=seed)


def run(data: Path) -> dict[str, Any]:
    found = [_judged(data, seed) for seed in SEEDS]
    means = {name: round(float(np.mean([one[name] for one in found])), 4) for name in found[0]}
    return {
        **means,
        "macro_f1_worst": min(one["macro_f1"] for one in found),
        "ece_worst": max(one["ece"] for one in found),
        "train": TRAIN,
        "test": TEST,
        "wanted_macro_f1": WANTED_F1,
        "wanted_ece": WANTED_ECE,
    }


def _judged(data: Path, seed: int) -> dict[str, float]:
    from laneway.learning.metrics import calibration_error, confusion, macro_f1
    from laneway.triage.learned.files import load
    from laneway.triage.learned.labels import LabelModel

    learnt = trained(data, seed)
    texts, labels = zip(*drawn(data, seed)[1], strict=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "category.npz"
        learnt.write(path)
        size, model = path.stat().st_size, LabelModel(load(path, "category"))
    chances = model.chances(texts)
    truth = np.array([model.labels.index(label) for label in labels])
    given, confidence = chances.argmax(axis=1), chances.max(axis=1)
    sure = confidence >= model.least
    return {
        "macro_f1": round(macro_f1(confusion(truth, given, len(model.labels))), 4),
        "ece": round(calibration_error(confidence, given == truth), 4),
        "accuracy": round(float((given == truth).mean()), 4),
        "labelled": round(float(sure.mean()), 4),
        "accuracy_labelled": round(float((given == truth)[sure].mean()), 4),
        "foretold_macro_f1": round(learnt.report.macro_f1, 4),
        "megabytes": round(size / 1e6, 2),
    }
