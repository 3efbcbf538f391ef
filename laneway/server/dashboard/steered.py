"""What lanes and accounts have in common: they are paused, and each has a page of its own with its limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from laneway.errors import NotFoundError
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.dashboard.setting import change, settings_of
from laneway.server.dashboard.words import capitalize_first
from laneway.server.holding import hold
from laneway.store.steering import PauseKind
from laneway.store.teams import OfTeam

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

PAUSED = {
    PauseKind.LANE: "nothing new starts in it until it is resumed",
    PauseKind.ACCOUNT: "no new call is made until it is resumed",
}


class Named(Protocol):
    @property
    def name(self) -> str: ...


All = Callable[["Laneway", OfTeam], Awaitable[Sequence[Named]]]


def holding(kind: PauseKind) -> tuple[Deed, Deed]:
    """Of the one that a form names."""
    return Deed("pause", partial(_pause, kind), shared=True), Deed("resume", partial(_resume, kind), shared=True)


def page_of_one(kind: PauseKind, all_: All, hint: str = "") -> Page:
    """``all_``: the view in which it is; ``hint``: for a name that is not there. The template finds it under the name
    of its kind."""
    return Page(
        f"/{kind}s/{{name:path}}",
        capitalize_first(kind),
        f"{kind}.html",
        partial(_figures, kind, all_, hint),
        (*holding(kind), Deed("limits", partial(_limit, kind), shared=True)),
        under=f"/{kind}s",
    )


async def _figures(kind: PauseKind, all_: All, hint: str, asked: Asked) -> Figures:
    name = asked.place["name"]
    found = next((one for one in await all_(asked.lw, asked.team) if one.name == name), None)
    if found is None:
        raise NotFoundError(f"there is no {kind} {name!r}", hint=hint)
    return {
        "title": f"{capitalize_first(kind)} {name}",
        kind.value: found,
        "settings": await settings_of(asked, kind, name),
        "steers": asked.caller.steers_shared,
    }


async def _pause(kind: PauseKind, asked: Asked) -> str:
    name = asked.form.get("name", "")
    await hold(asked.lw, asked.audit, asked.caller, kind, name, paused=True)
    return f"{capitalize_first(kind)} {name} is paused: {PAUSED[kind]}."


async def _resume(kind: PauseKind, asked: Asked) -> str:
    name = asked.form.get("name", "")
    await hold(asked.lw, asked.audit, asked.caller, kind, name, paused=False)
    return f"{capitalize_first(kind)} {name} goes on."


async def _limit(kind: PauseKind, asked: Asked) -> str:
    name = asked.place["name"]
    await change(asked, kind, name)
    return f"The limits of {kind} {name} are set: all workers go by them within a second."
