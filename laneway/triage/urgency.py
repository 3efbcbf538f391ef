"""How far a text alone may change the urgency of its task: nobody should buy priority by writing "URGENT"."""

from __future__ import annotations

from laneway.task import Urgency


def by_text(standing: Urgency, said: Urgency, up_to: Urgency | None = None) -> Urgency:
    """What it is by what a text says of itself. ``standing``: what it would be otherwise. It rises by one class at
    most, and never to immediate; ``up_to``: as far as this instead, where a rule allows it."""
    limit = max(Urgency(max(0, standing - 1)), Urgency.URGENT) if up_to is None else up_to
    return said if said >= standing else max(said, min(limit, standing))


def raised_by_text(standing: Urgency, label: str, up_to: Urgency | None = None) -> Urgency | None:
    """The same where it may only rise. None: nothing changes."""
    raised = by_text(standing, Urgency[label.upper()], up_to)
    return raised if raised < standing else None
