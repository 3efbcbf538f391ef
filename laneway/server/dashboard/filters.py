"""Which tasks a page is about, as its URL says: ``?state=failed&class=transient&lane=legal``."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from pydantic import ValidationError

from laneway.server.caller import Caller
from laneway.server.dashboard.page import Asked
from laneway.server.envelopes import Refusal
from laneway.server.native.forms import FilterForm
from laneway.server.native.listing import selector_of
from laneway.store.steering import Selector
from laneway.store.teams import ALL

FIELDS = ("state", "class", "code", "type", "model", "lane", "urgency", "run", "tag", "key")


def given(asked: Asked) -> dict[str, str]:
    """What the URL says, without what is empty: forms send all their fields."""
    return {name: value.strip() for name in FIELDS if (value := asked.query.get(name, "")).strip()}


def selector(asked: Asked, **fixed: str) -> Selector:
    """Of what the caller may see. ``fixed``: goes before what the URL says. Raises Refusal."""
    return own(asked.caller, _selector(asked, {**given(asked), **fixed}))


def own(caller: Caller, chosen: Selector) -> Selector:
    return chosen._replace(team=ALL if caller.sees_all else caller.team)


def link(path: str, fields: Mapping[str, object]) -> str:
    """The path with those of the fields that say something."""
    said = {name: str(value) for name, value in fields.items() if value not in (None, "")}
    return f"{path}?{urlencode(said)}" if said else path


def cursor_of(asked: Asked) -> int | None:
    text = asked.query.get("cursor", "")
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def _selector(asked: Asked, said: Mapping[str, str]) -> Selector:
    values = {name: value if name == "run" else [value] for name, value in said.items()}
    try:
        return selector_of(asked.lw, FilterForm.model_validate(values))
    except ValidationError as error:
        first = error.errors()[0]
        place = str(first["loc"][0]) if first["loc"] else "filter"
        raise Refusal(400, f"{place}: {first['msg']}", param=place) from None
