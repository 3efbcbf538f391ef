"""A mixed batch as a task engine gets it: mails to be sorted, orders to be read, minutes to be summed up, clauses to be
reviewed. How good the models are hangs on the type and, for some types, on what a text is about.

What is hard can be seen from the text only in part: a hard topic is often, not always, hard for the small model; some
easy texts mention one; and what befalls one task in fifty hangs on the last digits of its reference, which say nothing
to anybody.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PARTS = {"ticket": 0.45, "order": 0.30, "minutes": 0.15, "clause": 0.10}
PROMPTS = {
    "ticket": "Sort this mail into a queue.\n\n{{ text }}",
    "order": "Read the order out of this mail.\n\n{{ text }}",
    "minutes": "Sum up these minutes in three sentences.\n\n{{ text }}",
    "clause": "Say what this clause risks for us.\n\n{{ text }}",
}
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "ticket": {"angry": {"type": "boolean"}, "queue": {"enum": ["billing", "delivery", "access", "returns", "other"]}},
    "order": {
        "currency": {"enum": ["EUR", "USD", "GBP", "CHF"]},
        "express": {"type": "boolean"},
        "terms": {"enum": ["prepaid", "14 days", "30 days"]},
    },
}
UNLUCKY = r"Ref \d*(13|87)\b"  # 2 in 100 of each type
HARD = {"minutes": r"(dissent|abstain|amend)", "clause": r"(indemni|liabilit|change of control|waive)"}
MODELS = {
    "gpt-4o-mini": {
        "input_price": 0.15,
        "output_price": 0.60,
        "quality": 0.9,
        "marked": 0.6,
        "alarms": 0.03,
        "kinds": {
            UNLUCKY: 0.85,
            "^Sort this mail": 0.972,
            "^Read the order": 0.97,
            f"(?s)^Sum up.*{HARD['minutes']}": 0.62,
            "^Sum up": 0.93,
            f"(?s)^Say what.*{HARD['clause']}": 0.42,
            "^Say what": 0.86,
        },
    },
    "gpt-4o": {
        "input_price": 2.5,
        "output_price": 10.0,
        "quality": 0.97,
        "kinds": {UNLUCKY: 0.95, "^(Sort|Read)": 0.975, "^Sum up": 0.955, "^Say what": 0.93},
    },
}
_PLAIN = (
    "the parcel came on tuesday", "we wrote to you last week", "the invoice names another address",
    "my colleague has the papers", "please answer by friday", "the portal shows an error", "nobody called back",
    "the second shipment is still on its way", "our number has changed", "the amount differs from the offer",
    "attached is the form that you asked for", "the driver left it next door", "we would rather have a credit note",
    "the password was reset twice", "it worked until the update", "kind regards from the office",
)  # fmt: skip
_MEETING = (
    "the chair opened the meeting", "the figures of the quarter were shown", "the budget was carried over",
    "two posts remain vacant", "the lease runs until march", "the board took note", "a date was agreed for the audit",
    "the report of the works council was heard", "travel costs rose again", "the new supplier was presented",
)  # fmt: skip
_DISPUTE = ("one member dissents", "three abstain from the vote", "the motion is amended twice")
_CLAUSE = (
    "the supplier delivers within ten days", "notices are in writing", "the term is two years",
    "either party may end this agreement with three months notice", "prices are fixed for the first year",
    "the law of the place of delivery applies", "documents are kept for six years", "partial deliveries are allowed",
)  # fmt: skip
_RISKY = (
    "the customer shall indemnify the supplier", "liability is not limited", "a change of control ends the licence",
    "the customer waives its right to set off",
)  # fmt: skip


def tasks(n: int, seed: int) -> Iterator[dict[str, str]]:
    """Records with ``id``, ``type`` and ``text``."""
    rng = random.Random(seed)
    for number in range(n):
        (kind,) = rng.choices([*PARTS], [*PARTS.values()])
        yield {"id": f"{seed}-{number}", "type": kind, "text": _text(kind, rng)}


def _text(kind: str, rng: random.Random) -> str:
    phrases, hard, length = {
        "ticket": (_PLAIN, (), 36),
        "order": (_PLAIN, (), 44),
        "minutes": (_MEETING, _DISPUTE, 40),
        "clause": (_CLAUSE, _RISKY, 26),
    }[kind]
    said = rng.choices(phrases, k=round(length * rng.uniform(0.6, 1.4)))
    if hard and rng.random() < 0.45:
        said[rng.randrange(len(said))] = rng.choice(hard)
    return f"Ref {rng.randrange(10_000, 1_000_000)}: " + ", ".join(said) + "."


def write(folder: Path, name: str, records: Iterator[dict[str, str]]) -> list[dict[str, str]]:
    rows = [*records]
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return rows


def write_types(folder: Path) -> None:
    for kind, prompt in PROMPTS.items():
        (folder / f"{kind}.j2").write_text(prompt)
    for kind, properties in SCHEMAS.items():
        (folder / f"{kind}.json").write_text(json.dumps(schema(properties)))
    (folder / "models.json").write_text(json.dumps(MODELS))


def schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
