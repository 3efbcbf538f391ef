"""Steering what runs: what people name on the command line, checked and carried out in pieces."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from laneway.errors import NotFoundError, UsageError
from laneway.store.steering import Pause, PauseKind

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

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
        known |= {lw.config.defaults.lane} | {cell.lane for cell in await lw.store.tally()}
    else:
        known |= set(await lw.store.states("account:"))
    known |= {pause.name for pause in await lw.store.pauses() if pause.kind is kind}
    if name not in known:
        near = difflib.get_close_matches(name, sorted(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none yet'}"
        raise NotFoundError(f"there is no {kind} {name!r}", hint=hint)


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
