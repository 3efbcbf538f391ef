"""What a page is: where it is found, its figures, its template, and what can be done on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from laneway.server.caller import Caller
from laneway.store.teams import ALL, OfTeam

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.server.audit import Audit
    from laneway.server.bulk import Bulk
    from laneway.server.verbs import Verbs

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page or a deed. ``place``: what its path names; ``form``: what a deed was sent with."""

    lw: Laneway
    audit: Audit
    verbs: Verbs
    bulk: Bulk
    caller: Caller
    place: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def team(self) -> OfTeam:
        return ALL if self.caller.sees_all else self.caller.team

    @property
    def now(self) -> float:
        return self.lw.clock.now()


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that a page's button does: ``POST /ui<path>/<name>``. ``does`` returns what people are told, and raises
    Refusal or LanewayError. ``shared``: it changes what all teams share, so it needs an operator of no team."""

    name: str
    does: Callable[[Asked], Awaitable[str]]
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """``path`` may name parts, as FastAPI's paths do. ``figures`` gives the template its variables; a ``title`` among
    them goes before the page's. ``live``: it asks for itself again when something has changed. ``under``: the path of
    the page that the menu shows as the present one."""

    path: str
    title: str
    template: str
    figures: Callable[[Asked], Awaitable[Figures]]
    deeds: tuple[Deed, ...] = ()
    live: bool = True
    under: str = ""

    @property
    def part(self) -> str:
        """The path of its live part, and before its deeds."""
        return f"/ui{'/overview' if self.path == '/' else self.path}"


def filled(path: str, place: Mapping[str, str]) -> str:
    """The path with its names quoted: they are users' data."""
    for name, value in place.items():
        for written in (f"{{{name}}}", f"{{{name}:path}}"):
            path = path.replace(written, quote(value, safe=""))
    return path
