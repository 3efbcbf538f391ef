"""Accounts: what is in flight against which limit, how that was found, and whether they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from laneway.app.views.figures import NO_WORK, Point, Shown, Work, no_series, series, works
from laneway.app.views.workers import facts
from laneway.store.live_limits import RATES, STATE, live_limits
from laneway.store.steering import PauseKind
from laneway.store.tallies import TallyKind
from laneway.store.teams import ALL, OfTeam

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.config.models import AccountConfig

CHANGES = 20  # of the newest that are shown


@dataclass(frozen=True, slots=True)
class Limit(Shown):
    """``source``: config, headers or found. ``use``: 0 to 1, of the worker that uses most of its part."""

    name: str
    value: float | None
    source: str | None
    use: float | None


@dataclass(frozen=True, slots=True)
class LimitChange(Shown):
    at: float
    limit: str
    value: float | None  # None: open
    reason: str


@dataclass(frozen=True, slots=True)
class Account(Shown):
    """``failure``: why it stopped by itself (a wrong key, no credit), in the provider's words. ``down_since``: the
    breaker is open. ``live``: limits that somebody set while work goes on, by whom and when. ``saved_at``: when a
    worker looked last; None: none has."""

    name: str
    models: list[str]
    in_flight: int
    limits: list[Limit]
    changes: list[LimitChange]  # of limits that were found, the newest last
    paused_since: float | None  # by hand
    live: dict[str, Any] | None
    failure: str | None
    answers: bool
    down_since: float | None
    next_probe: float | None
    last_failure: str | None
    failing_share: float | None
    saved_at: float | None
    hour: Work
    minutes: list[Point]


async def accounts(lw: Laneway, team: OfTeam = ALL) -> list[Account]:
    """By name: those of the config, and those that were used. Of a team: its own calls."""
    store, now, config = lw.store, lw.clock.now(), lw.config
    states = await store.states("account:")
    living = {one.id for one in await store.workers(now) if one.lease_until > now}
    said = [own.get("accounts") or {} for worker, own in (await facts(store)).items() if worker in living]
    hour, minutes = await works(store, TallyKind.ACCOUNT, now, team), await series(store, TallyKind.ACCOUNT, now, team)
    paused = {one.name: one.since for one in await store.pauses() if one.kind is PauseKind.ACCOUNT}
    live = {one.name: one for one in live_limits(await store.states(STATE)) if one.kind is PauseKind.ACCOUNT}
    serves: dict[str, list[str]] = {}
    nothing = no_series(now)
    for model, settings in config.models.items():
        for name in settings.account_names:
            serves.setdefault(name, []).append(model)
    return [
        _account(
            name,
            states.get(name),
            config.accounts.get(name),
            [own[name] for own in said if name in own],
            models=serves.get(name, []),
            paused_since=paused.get(name),
            live=live[name].as_json() if name in live else None,
            hour=hour.get(name, NO_WORK),
            minutes=minutes.get(name) or nothing,
        )
        for name in sorted({*config.accounts, *states} - {""})
    ]


def _account(
    name: str,
    saved: tuple[Mapping[str, Any], float] | None,
    settings: AccountConfig | None,
    said: list[Mapping[str, Any]],
    **rest: Any,
) -> Account:
    state, saved_at = saved or ({}, None)
    breaker, health = state.get("breaker") or {}, state.get("health") or {}
    down = state.get("down") is True
    return Account(
        name=name,
        in_flight=sum(int(one.get("in_flight") or 0) for one in said),
        limits=_limits(state, settings, said),
        changes=[
            LimitChange(at, limit, value, reason)
            for at, limit, value, reason in (one for one in state.get("history") or [] if len(one) == 4)
        ][-CHANGES:],
        failure=state.get("paused"),
        answers=not down,
        down_since=breaker.get("open_since") if down else None,
        next_probe=breaker.get("next_probe") if down else None,
        last_failure=state.get("last_failure") if down else None,
        failing_share=health.get("failing"),
        saved_at=saved_at,
        **rest,
    )


def _limits(state: Mapping[str, Any], settings: AccountConfig | None, said: list[Mapping[str, Any]]) -> list[Limit]:
    if not state and settings is not None:  # nobody has used it yet
        stated = {name: getattr(settings, name) for name in (*RATES, "requests_per_day", "concurrency")}
        return [Limit(name, value, "config", None) for name, value in sorted(stated.items()) if value is not None]
    found = state.get("found") or {}
    values = {**(state.get("limits") or {}), "concurrency": state.get("concurrency"), **found}
    origins = state.get("origins") or {}
    found_limits = []
    for name, value in sorted(values.items()):
        use = max((float((one.get("use") or {}).get(name, 0.0)) for one in said), default=None)
        if value is not None:
            found_limits.append(Limit(name, value, origins.get(name), None if use is None else round(use, 4)))
    return found_limits
