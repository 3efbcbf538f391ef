"""The form in which limits are changed while work goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from laneway.app.live_limits import configured_limits, limits_set
from laneway.server.dashboard.limits import limit_name
from laneway.server.dashboard.page import Asked
from laneway.server.dashboard.words import capitalize_first
from laneway.server.envelopes import Refusal
from laneway.server.holding import limit
from laneway.server.native.forms import AccountLimitsForm, LaneLimitsForm, LimitsForm
from laneway.store.steering import PauseKind

FORMS: Mapping[PauseKind, type[LimitsForm]] = {
    PauseKind.LANE: LaneLimitsForm,
    PauseKind.ACCOUNT: AccountLimitsForm,
}


@dataclass(frozen=True, slots=True)
class Field:
    """``value``: what is set here; "": what the config says (``stated``) holds."""

    name: str
    said: str
    value: str
    stated: str


@dataclass(frozen=True, slots=True)
class Settings:
    fields: tuple[Field, ...]
    by: str | None
    at: float | None


async def settings_of(asked: Asked, kind: PauseKind, name: str) -> Settings:
    found = next((one for one in await limits_set(asked.lw.store) if (one.kind, one.name) == (kind, name)), None)
    configured = configured_limits(asked.lw.config, kind, name)
    values = found.values if found else {}
    fields = [
        Field(one, capitalize_first(limit_name(one)), _plain(values.get(one)), _plain(configured[one]))
        for one in configured
        if kind is PauseKind.LANE or configured[one] is not None or one in values or one == "concurrency"
    ]
    return Settings(tuple(fields), found.by if found and values else None, found.at if found and values else None)


async def change(asked: Asked, kind: PauseKind, name: str) -> None:
    """What the form was sent with; an empty field gives the config's back. Raises Refusal, LanewayError."""
    form = FORMS[kind]
    given: dict[str, Any] = {
        field: text.strip() or None for field, text in asked.form.items() if field in form.model_fields
    }
    try:
        checked = form.model_validate(given, strict=False)
    except ValidationError as error:
        first = error.errors()[0]
        place = capitalize_first(limit_name(str(first["loc"][0]))) if first["loc"] else "The form"
        raise Refusal(400, f"{place}: {first['msg']}") from None
    await limit(asked.lw, asked.audit, asked.caller, kind, name, checked.changes)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.12g}"
