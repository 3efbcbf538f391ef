"""Small tables of outcomes, drawn from a seed."""

from __future__ import annotations

from typing import Any

import numpy as np

EASY, HARD = ("greet", "thank", "spell", "list"), ("prove", "derive", "refute", "integrate")
FILLER = ("alpha", "beta", "gamma", "delta", "omega", "sigma")


def rows(
    n: int = 600,
    seed: int = 0,
    *,
    weak_on_hard: float = 0.2,
    weak_on_easy: float = 0.9,
    strong: float = 0.9,
    middle: float | None = None,
    typed: bool = True,
) -> list[dict[str, Any]]:
    """Half of the tasks are hard, and say so in a word; on these ``small`` fails mostly."""
    chance = np.random.default_rng(seed)
    found = []
    for at in range(n):
        hard = bool(chance.random() < 0.5)
        word = str(chance.choice(HARD if hard else EASY))
        text = " ".join([word, *(str(one) for one in chance.choice(FILLER, 5)), f"number {at}"])
        row: dict[str, Any] = {
            "text": text,
            "quality:small": float(chance.random() < (weak_on_hard if hard else weak_on_easy)),
            "quality:large": float(chance.random() < strong),
            "cost:small": 0.001,
            "cost:large": 0.02,
        }
        if middle is not None:
            row |= {"quality:medium": float(chance.random() < middle), "cost:medium": 0.004}
        if typed:
            row["type"] = "exam" if chance.random() < 0.5 else "homework"
        found.append(row)
    return found


def shuffled(table: list[dict[str, Any]], seed: int = 0) -> list[dict[str, Any]]:
    """Outcomes of other tasks."""
    order = np.random.default_rng(seed).permutation(len(table))
    return [
        {**row, **{name: value for name, value in table[other].items() if name.startswith("quality:")}}
        for row, other in zip(table, order, strict=True)
    ]
