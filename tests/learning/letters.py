"""Letters written for tests: what each is about can be read off its words, mostly."""

from __future__ import annotations

import random
from collections.abc import Sequence

TOPICS = {
    "billing": ["invoice", "refund", "payment", "charged twice", "receipt", "bank transfer", "amount due"],
    "delivery": ["parcel", "courier", "tracking", "arrived late", "wrong address", "pick it up", "delivery van"],
    "account": ["password", "log in", "username", "locked out", "reset link", "profile", "two factor code"],
}
COMMON = ["hello", "i would", "like to know", "about my order", "please help", "with this", "thank you", "kindly"]
PRESSING = {
    "relaxed": ["whenever you have time", "no hurry", "just curious"],
    "standard": ["this week", "please look into it", "waiting for your answer"],
    "urgent": ["deadline today", "legal action", "production is down", "patient waits"],
}


def letter(words: Sequence[str], rng: random.Random) -> str:
    said = [*rng.choices(words, k=2), *rng.choices(COMMON, k=8)]
    rng.shuffle(said)
    return " ".join(said)


def letters(n: int, *, of: dict[str, list[str]] = TOPICS, wrong: float = 0.0, seed: int = 1) -> list[tuple[str, str]]:
    """(text, label), the labels in turn. ``wrong``: how many of them are drawn at random instead."""
    rng = random.Random(seed)
    names = [*of]
    found = []
    for row in range(n):
        label = names[row % len(names)]
        found.append((letter(of[label], rng), rng.choice(names) if rng.random() < wrong else label))
    return found
