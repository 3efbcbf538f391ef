"""One run: how far it is, what it costs, when it will have ended, and what keeps it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from laneway.app.steering import Verb
from laneway.app.views.failures import failures
from laneway.app.views.pace import eta
from laneway.app.views.runs import RunLine, lines
from laneway.app.views.saving import run_saving
from laneway.server.dashboard.filters import link
from laneway.server.dashboard.holdups import holdups
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.dashboard.words import plural
from laneway.server.envelopes import Refusal
from laneway.server.holding import hold
from laneway.server.native.seeing import LONGEST_ID, Seeing
from laneway.store.cells import CellTally
from laneway.store.runs import Run
from laneway.store.steering import PauseKind, Selector
from laneway.task import State, needs_account

MOST = 20  # rows of a table
MOST_FAILURES = 10
OWN_CODE = "no model: functions and flows"


async def figures(asked: Asked) -> Figures:
    lw = asked.lw
    run = await _run(asked)
    (line,) = await lines(lw, [run])
    cells = await lw.store.tally(run.id)
    found = await failures(lw, Selector(run_id=run.id))
    open_ = _left(line) > 0
    models, lanes = _parts((_model(cell), cell) for cell in cells), _parts((cell.lane, cell) for cell in cells)
    return {
        "title": f"Run {run.id}",
        "run": line,
        "info": _facts(run),
        "left": _left(line),
        "eta": await eta(lw, cells) if open_ and line.paused_since is None else None,
        "holdups": await holdups(asked, line, cells) if open_ else [],
        "failures": [(one, link("/failures", _kind(run, one.cls, one.code))) for one in found[:MOST_FAILURES]],
        "more_failures": len(found) - MOST_FAILURES,
        "all_failures": link("/failures", {"run": run.id}),
        "models": models[:MOST],
        "lanes": lanes[:MOST],
        "hidden": (len(models) - MOST, len(lanes) - MOST),
        "saving": await run_saving(lw, run, line),
        "tasks": link("/tasks", {"run": run.id}),
        "sweeps": [one for one in asked.bulk.seen_by(asked.caller) if one.said == _said(run)][:1],
        "may": asked.caller.operates,
    }


async def pause(asked: Asked) -> str:
    run = await _run(asked)
    await hold(asked.lw, asked.audit, asked.caller, PauseKind.RUN, str(run.id), paused=True)
    return "Paused: nothing new of it starts until it is resumed."


async def resume(asked: Asked) -> str:
    run = await _run(asked)
    await hold(asked.lw, asked.audit, asked.caller, PauseKind.RUN, str(run.id), paused=False)
    return "It goes on."


async def cancel(asked: Asked) -> str:
    """Beside the request: there may be very many tasks."""
    run = await _run(asked)
    (line,) = await lines(asked.lw, [run])
    if not _left(line):
        return "Nothing is left to cancel: all of it has ended."
    await asked.bulk.begin(asked.caller, Verb.CANCEL, Selector(run_id=run.id, states=Verb.CANCEL.states), _said(run))
    return f"{plural(_left(line), 'task')} are being cancelled. You may leave this page."


def _said(run: Run) -> str:
    return f"run {run.id}"


async def _run(asked: Asked) -> Run:
    """Raises NotFoundError, Refusal."""
    text = str(asked.place["run_id"])
    if not (text.isdecimal() and text.isascii() and len(text) <= LONGEST_ID):
        raise Refusal(404, f"there is no run {text[:40]!r}")
    return await Seeing(asked.lw).run(asked.caller, int(text))


def _left(line: RunLine) -> int:
    return line.tasks - sum(line.counts[state.value] for state in State if state.ended)


def _kind(run: Run, cls: str, code: str) -> dict[str, object]:
    return {"run": run.id, "class": cls, "code": code}


def _facts(run: Run) -> list[tuple[str, str]]:
    """What it is known by and where its results go, for people."""
    known = (("Input", run.info.get("input")), ("Results", run.info.get("out")), ("Known as", run.identity))
    return [(name, str(value)) for name, value in known if value]


def _model(cell: CellTally) -> str:
    return cell.model if needs_account(cell.model) else OWN_CODE


def _parts(cells: Iterable[tuple[str, CellTally]]) -> list[tuple[str, Counter[State]]]:
    """By name, those with most tasks first."""
    found: dict[str, Counter[State]] = {}
    for name, cell in cells:
        found.setdefault(name, Counter()).update(cell.counts)
    return sorted(((name, counts) for name, counts in found.items() if counts.total()), key=lambda one: -one[1].total())


RUN = Page(
    "/runs/{run_id}",
    "Run",
    "run.html",
    figures,
    (Deed("pause", pause), Deed("resume", resume), Deed("cancel", cancel)),
    under="/runs",
)
