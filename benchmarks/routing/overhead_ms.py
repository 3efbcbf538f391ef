"""What asking a model file costs each task, in milliseconds: alone, and in bulk. On tickets, through all of triage.

scikit-learn's own vectorisers on the same texts are the bound from the same run: they do less, in C.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.routing import tickets

FILE = tickets.FILE
ALONE, BULK = 1_000, 6_000
WANTED_ONE, WANTED_BULK = 2.0, 0.15
TIMES = 3


def run(data: Path) -> dict[str, Any]:
    from laneway.config.models import Config
    from laneway.triage.patient import Patient
    from laneway.triage.pipeline import Triage

    texts = [text for text, _ in tickets.drawn(data, 0)[1]][:BULK]
    plain = {"accounts": {"main": {}}, "models": {"small": {"account": "main", "id": "s"}}}
    with tempfile.TemporaryDirectory() as folder:
        tickets.trained(data, 0).write(Path(folder) / "category.npz")
        config = Config.model_validate({**plain, "triage": {"category": Path(folder) / "category.npz"}})
        nurse = Triage(config)
    without = Triage(Config.model_validate(plain))

    def bulk(triage: Triage) -> float:
        began = time.perf_counter()
        triage.assess_many(Patient("ticket", text, 100) for text in texts)
        return (time.perf_counter() - began) / len(texts) * 1e3

    def one(text: str) -> float:
        began = time.perf_counter()
        nurse.assess(Patient("ticket", text, 100))
        return (time.perf_counter() - began) * 1e3

    bulk(nurse)
    alone = sorted(one(text) for text in texts[:ALONE])
    in_bulk, base, bound = least(lambda: bulk(nurse)), least(lambda: bulk(without)), least(_bound(data, texts))
    return {
        "one": round(statistics.median(alone), 3),
        "one_p99": round(alone[int(0.99 * ALONE)], 3),
        "bulk": round(in_bulk, 4),
        "bulk_without_files": round(base, 4),
        "scikit_learn_bulk": round(bound, 4),
        "ratio": round(in_bulk / bound, 2),
        "wanted_one": WANTED_ONE,
        "wanted_bulk": WANTED_BULK,
    }


def least(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(TIMES))


def _bound(data: Path, texts: list[str]) -> Callable[[], float]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    learnt = [text for text, _ in tickets.drawn(data, 0)[0]]
    of_words = TfidfVectorizer(ngram_range=(1, 2), min_df=2).fit(learnt)
    of_grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), min_df=2).fit(learnt)

    def measure() -> float:
        began = time.perf_counter()
        of_words.transform(texts)
        of_grams.transform(texts)
        return (time.perf_counter() - began) / len(texts) * 1e3

    return measure
