"""Workers: whether they live, how busy they are, what they have of the limits."""

from __future__ import annotations

from laneway.app.views import workers
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.holding import drain

MOST = 100  # rows of a page
MOST_NAMED = 5  # lanes and accounts of one


async def figures(asked: Asked) -> Figures:
    found = sorted(await workers(asked.lw), key=lambda one: (one.alive, -one.running, one.id))
    return {
        "workers": found[:MOST],
        "hidden": max(0, len(found) - MOST),
        "most_named": MOST_NAMED,
        "steers": asked.caller.steers_shared,
    }


async def drain_one(asked: Asked) -> str:
    worker = asked.form.get("name", "")
    await drain(asked.lw, asked.audit, asked.caller, worker)
    return f"Worker {worker} starts nothing more, finishes what it has and ends."


WORKERS = Page("/workers", "Workers", "workers.html", figures, (Deed("drain", drain_one, True),))
