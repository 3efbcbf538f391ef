"""What words for urgency usually mean, for a table that has a column of them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from laneway.task import Urgency

_MEANT = (
    (Urgency.IMMEDIATE, r"critical|emergency|blocker|asap|now|p0|prio(rity)?[ -]?0|sev(erity)?[ -]?0"),
    (Urgency.URGENT, r"high|very high|major|hoch|urgente|alta|p1|prio(rity)?[ -]?1|sev(erity)?[ -]?1"),
    (
        Urgency.RELAXED,
        r"low|lowest|minor|trivial|niedrig|baja|whenever|p[3-5]|prio(rity)?[ -]?[3-5]|sev(erity)?[ -]?[3-5]",
    ),
)
MOST_WORDS = 50  # of a column; with more it is no column of urgencies


def meanings(words: Iterable[str]) -> dict[str, list[str]]:
    """Urgency → the words that shall mean it; words that are no known one mean standard. Laneway's own four words
    need no meaning."""
    found: dict[str, list[str]] = {}
    own = {urgency.label for urgency in Urgency}
    folded = dict.fromkeys(word.strip().casefold() for word in words)
    others = [word for word in folded if word and word not in own]
    if len(others) > MOST_WORDS:
        return {}
    for word in others:
        urgency = next((u for u, pattern in _MEANT if re.fullmatch(pattern, word)), Urgency.STANDARD)
        found.setdefault(urgency.label, []).append(word)
    return {u.label: found[u.label] for u in Urgency if u.label in found}
