"""Triage: where work goes, what that saves, and which steps decide it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

from laneway.app.views.mix import mix
from laneway.app.views.triage import triage
from laneway.errors import LanewayError
from laneway.server.dashboard.page import Asked, Figures, Page

MOST = 15  # labels of a kind, and models
DECIDES = {
    "category": "what a text is about",
    "urgency": "how soon it is needed",
    "complexity": "how much it asks of a model",
    "model": "which model will do",
    "answers": "which answers are good enough",
}


class Learnt(NamedTuple):
    """A file of what was learnt, in use. ``labels``: what it may say."""

    field: str
    decides: str
    file: str
    labels: tuple[str, ...]


async def figures(asked: Asked) -> Figures:
    found, mixed = await triage(asked.lw, asked.team), await mix(asked.lw, asked.team)
    shared = asked.caller.sees_all
    learnt = await asyncio.to_thread(_learnt, asked) if shared else ()
    return {
        "triage": found,
        "models": found.models[:MOST],
        "hidden": max(0, len(found.models) - MOST),
        "mix": mixed,
        "parts": [
            ("Urgency", list(mixed.urgencies.items())),
            ("Category", list(mixed.categories.items())[:MOST]),
            ("Complexity", list(mixed.complexities.items())),
        ],
        "learnt": learnt,
        "shared": shared,
        "classifier": asked.lw.config.triage.classifier if shared else None,
    }


def _learnt(asked: Asked) -> tuple[Learnt, ...]:
    """Reads the files when nobody has yet: not for the event loop."""
    settings = asked.lw.config.triage
    try:
        nurse = asked.lw.triage.nurse
    except LanewayError:  # a file is gone; whoever submits is told
        nurse = None
    labels = dict(nurse.labels) if nurse else {}
    return tuple(
        Learnt(field, said, Path(path).name, tuple(labels.get(field, ())))
        for field, said in DECIDES.items()
        if (path := getattr(settings, field)) is not None
    )


TRIAGE = Page("/triage", "Triage", "triage.html", figures)
