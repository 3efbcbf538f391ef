"""Steering what runs: what people name on the command line, checked and carried out in pieces."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from laneway.app.budgets import Way, check_prices
from laneway.dispatch.pauses import DRAIN
from laneway.errors import InputError, NotFoundError, UsageError
from laneway.providers.presets import EVERYTHING
from laneway.store.steering import Change, Extent, Pause, PauseKind, Selector
from laneway.task import State, Task, Wire
from laneway.triage.filters import inputs_of
from laneway.triage.patient import Patient

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

CHUNK = 2_000  # tasks changed in one transaction
LOOKED_AT = 500  # bodies read at once
PAUSABLE = "lane NAME, account NAME or run NUMBER"


def places(words: Iterable[str]) -> list[tuple[PauseKind, str]]:
    """``lane legal``, ``lane:legal``, ``run 3 account:main`` → what they name. Raises UsageError."""
    found: list[tuple[PauseKind, str]] = []
    given = iter(words)
    for word in given:
        kind, colon, name = word.partition(":")
        if kind not in tuple(PauseKind):
            raise UsageError(f"{word!r} is no lane, account or run", hint=f"write {PAUSABLE}")
        name = name if colon else next(given, "")
        if not name:
            raise UsageError(f"which {kind}?", hint=f"write {PAUSABLE}")
        found.append((PauseKind(kind), name))
    if not found:
        raise UsageError("what?", hint=f"write {PAUSABLE}")
    return found


async def check_place(lw: Laneway, kind: PauseKind, name: str) -> None:
    """Raises NotFoundError for what neither the config nor the store knows: a misspelt pause would hold nothing."""
    if kind is PauseKind.RUN:
        await lw.store.get_run(run_number(name))
        return
    known = set(lw.config.lanes) if kind is PauseKind.LANE else set(lw.config.accounts)
    if kind is PauseKind.LANE:
        known |= {lw.config.defaults.lane} | {depth.lane for depth in await lw.store.depths()}
        known |= {lw.config.triage.classifier.lane} if lw.config.triage.classifier else set()
    else:
        known |= set(await lw.store.states("account:"))
    known |= {pause.name for pause in await lw.store.pauses() if pause.kind is kind}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none yet'}"
        raise NotFoundError(f"there is no {kind} {name!r}", hint=hint)


async def drain_worker(lw: Laneway, name: str, by: str) -> None:
    """Have a worker on whichever machine start nothing more, finish what it has and end. Raises NotFoundError when no
    such worker lives."""
    now = lw.clock.now()
    alive = [worker.id for worker in await lw.store.workers(now) if worker.lease_until > now]
    if name not in alive:
        hint = f"at work: {', '.join(alive)}" if alive else "no worker is at work"
        raise NotFoundError(f"there is no worker {name!r}", hint=hint)
    await lw.store.save_state(f"{DRAIN}{name}", {"by": by, "at": now}, now)


def run_number(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text!r} is no run's number", hint="`laneway status` lists the runs")
    return int(text)


async def pauses_of(lw: Laneway, run_id: int) -> list[Pause]:
    """What somebody paused that holds back tasks of this run."""
    pauses = [pause for pause in await lw.store.pauses() if pause.since is not None]
    if not pauses:
        return []
    left = [
        cell
        for cell in await lw.store.tally(run_id)
        if any(n for state, n in cell.counts.items() if n and not state.ended)
    ]
    accounts: set[str] = set()
    for name in {cell.model for cell in left if cell.model}:
        accounts |= {account.name for account in lw.catalog.model(name).accounts}
    held = {
        PauseKind.RUN: {str(run_id)} if left else set(),
        PauseKind.LANE: {cell.lane for cell in left},
        PauseKind.ACCOUNT: accounts,
    }
    return [pause for pause in pauses if pause.name in held[pause.kind]]


# many tasks -----------------------------------------------------------------------------------------------------------
class Verb(StrEnum):
    CANCEL = "cancel"
    RETRY = "retry"
    SET = "set"

    @property
    def states(self) -> tuple[State, ...]:
        """The states in which it has something to do."""
        if self is Verb.RETRY:
            return (State.FAILED, State.CANCELLED)
        return tuple(state for state in State if not state.ended)


async def carry_out(
    lw: Laneway,
    verb: Verb,
    selector: Selector,
    change: Change | None = None,
    told: Callable[[int, int, int], None] | None = None,
) -> int:
    """Do it to every chosen task, a few thousand in one transaction, so that work goes on in between. Returns how many
    were changed. ``told``: hears after each of these how many there are, were looked at, and were changed."""
    ids = await lw.store.select(selector)
    changed = 0
    for at in range(0, len(ids), CHUNK):
        chunk, now = ids[at : at + CHUNK], lw.clock.now()
        match verb:
            case Verb.CANCEL:
                changed += await lw.store.cancel(chunk, now)
            case Verb.RETRY:
                changed += await lw.store.retry(chunk, now)
            case Verb.SET:
                assert change is not None, "what to set is known"
                changed += await lw.store.adjust(chunk, change, now)
            case _:
                assert_never(verb)
        if told is not None:
            told(len(ids), at + len(chunk), changed)
    return changed


async def check_model(lw: Laneway, name: str, selector: Selector, extent: Extent) -> None:
    """Whether the chosen tasks can go to this model. Raises InputError that names some which cannot, ConfigError or
    AuthError when the model cannot be called at all, BudgetError where its price would have to be known."""
    model = lw.catalog.model(name)
    check_prices(lw.config, lw.catalog, [Way(name, "", "")])
    if n := extent.wires.get(Wire.PYTHON):
        raise UsageError(
            f"{n:,} of these tasks are Python functions, which choose their models themselves",
            hint="leave them out: --where type=…",
        )
    same_format = all(account.wire in extent.wires and len(extent.wires) == 1 for account in model.accounts)
    window = model.context_window
    takes_all = inputs_of(name, lw.config).issuperset(EVERYTHING)
    if same_format and takes_all and (window is None or extent.longest <= window):
        return
    refused: list[str] = []
    ids = await lw.store.select(selector)
    for at in range(0, len(ids), LOOKED_AT):
        for task in await lw.store.get_tasks(ids[at : at + LOOKED_AT]):
            if why := lw.triage.refusal(name, _patient(task)):
                refused.append(f"{task.key or task.id}: {why}")
    if refused:
        raise InputError(
            f"model {name} cannot take {len(refused):,} of {len(ids):,} tasks; {'; '.join(refused[:3])}",
            hint="choose another model, or leave them out with --where; nothing was changed",
        )


def _patient(task: Task) -> Patient:
    """A stored task as triage looks at it."""
    import orjson

    from laneway.intake.batch.lines import request_of
    from laneway.providers.translate import refusals

    body = orjson.loads(task.body)
    return Patient(
        type=task.type,
        text="",
        input_tokens=task.input_tokens,
        output_tokens=task.output_tokens,
        refused_by=refusals(task.wire, body),
        attachments=request_of(task.wire, body).attachments,
        key=task.key,
    )
