"""The work of ``flows``, the same for ours and for every peer: a report is analysed four ways at once, the answers are
joined, and a risky one is reviewed. Standard library only: the peers import it too.

Latencies are fixed for each step and answers depend on the prompt alone, so that an event simulation can tell the
shortest time there is, and a run that was killed must end in the very results of one that was not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

ANALYSES = ("entities", "sentiment", "compliance", "summary")
JOIN, REVIEW = "join", "review"
LATENCY_S: Mapping[str, float] = {
    "entities": 0.6,
    "sentiment": 0.3,
    "compliance": 0.9,
    "summary": 0.75,
    JOIN: 0.5,
    REVIEW: 0.6,
}
MAX_TOKENS, ANSWER_TOKENS = 50, 20
RISK = 0.7  # a report's exposure above which it is reviewed


def documents(n: int) -> list[str]:
    """Reports of different companies, 29 of each hundred of them risky."""
    return [
        f"Annual report of company {i}: revenue grew by {i % 13} %. Exposure: {i * 37 % 100 / 100}" for i in range(n)
    ]


def risky(document: str) -> bool:
    """Decided by the document, so that every run and every peer has the same reviews."""
    return float(document.rpartition(" ")[2]) > RISK


def prompt(step: str, *parts: str) -> str:
    """What a step asks its model, which bears the step's name. ``parts``: the document, or what was answered so far."""
    return f"{step}: " + "\n".join(parts)


def steps(document: str) -> list[str]:
    """The calls that a document needs, each once."""
    return [*ANALYSES, JOIN, *([REVIEW] if risky(document) else [])]


def calls(n: int) -> int:
    return sum(len(steps(document)) for document in documents(n))


def longest_path_s(*, review: bool) -> float:
    """Seconds that a document takes when nothing holds it up."""
    return max(LATENCY_S[step] for step in ANALYSES) + LATENCY_S[JOIN] + (LATENCY_S[REVIEW] if review else 0.0)


def digest(results: Sequence[str]) -> str:
    """Of all results in the documents' order: the same wherever the same was answered."""
    return hashlib.sha256(json.dumps(list(results)).encode()).hexdigest()[:16]
