"""What somebody has paused by hand: lanes and runs start nothing new, accounts are not called."""

from __future__ import annotations

from collections.abc import Iterable

from laneway.dispatch.desk import Blocked
from laneway.store.cells import Head
from laneway.store.steering import Pause, PauseKind

DRAIN = "drain:"  # of the states by which somebody tells workers to end: "drain:NAME"
EVERY_S = 0.2  # how often a worker looks whether somebody paused or resumed something


class Pauses:
    """As last read from the store."""

    def __init__(self) -> None:
        self._held: dict[tuple[PauseKind, str], Pause] = {}
        self._resumes: dict[str, int] = {}
        self._known = False

    def update(self, found: Iterable[Pause]) -> tuple[list[str], set[str]]:
        """Take in what the store says. Returns news in sentences, and the accounts that somebody resumed."""
        held: dict[tuple[PauseKind, str], Pause] = {}
        resumed: set[str] = set()
        for pause in found:
            if pause.since is not None:
                held[pause.kind, pause.name] = pause
            if pause.kind is PauseKind.ACCOUNT:
                if self._known and pause.resumes != self._resumes.get(pause.name, 0):
                    resumed.add(pause.name)
                self._resumes[pause.name] = pause.resumes
        news = [f"{pause} is paused" for place, pause in held.items() if place not in self._held]
        news += [f"{pause} goes on" for place, pause in self._held.items() if place not in held]
        self._held, self._known = held, True
        return news, resumed

    def of(self, head: Head) -> Blocked | None:
        """Whether this cell's lane or run is paused."""
        if not self._held:
            return None
        pause = self._held.get((PauseKind.RUN, str(head.run_id))) or self._held.get((PauseKind.LANE, head.lane))
        return None if pause is None else held_by(pause.kind, pause.name)

    @property
    def of_runs(self) -> bool:
        return any(kind is PauseKind.RUN for kind, _ in self._held)

    def account(self, name: str) -> bool:
        return (PauseKind.ACCOUNT, name) in self._held


def held_by(kind: PauseKind, name: str) -> Blocked:
    return Blocked(None, f"pause of {kind} {name}", held=True)


def how_to_resume(blocked: Iterable[Blocked]) -> str:
    """``lane legal is paused (laneway resume lane legal)``, for each pause in the way."""
    things = sorted({one.by.removeprefix("pause of ") for one in blocked if one.held})
    return "; ".join(f"{thing} is paused (`laneway resume {thing}` lets it go on)" for thing in things)
