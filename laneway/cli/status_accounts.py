"""An account in ``laneway status``: what is known of its limits, from where, and what changed last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laneway.cli.ago import ago, ahead

CHANGES = 3  # of the newest that people are shown; all are in --json
SAID = {
    "requests_per_second": "requests/s",
    "requests_per_minute": "requests/min",
    "requests_per_day": "requests/day",
    "input_tokens_per_minute": "input tokens/min",
    "output_tokens_per_minute": "output tokens/min",
    "tokens_per_minute": "tokens/min",
    "concurrency": "at once",
}


def account_data(state: Mapping[str, Any], saved_at: float) -> dict[str, Any]:
    """What a worker kept of an account when it last looked. ``known_from``: config, headers or found, by limit."""
    found = state.get("found") or {}
    breaker, health = state.get("breaker") or {}, state.get("health") or {}
    limits = {**(state.get("limits") or {}), **found}
    concurrency = found.get("concurrency", state.get("concurrency"))
    limits.pop("concurrency", None)
    return {
        "failure": state.get("paused"),
        "answers": state.get("down") is not True,
        "down_since": breaker.get("open_since"),
        "next_probe": breaker.get("next_probe"),
        "last_failure": state.get("last_failure") if state.get("down") else None,
        "failing_share": health.get("failing"),
        "latency_s": health.get("latency") or None,
        "in_flight": state.get("in_flight"),
        "concurrency": concurrency,
        "limits": limits,
        "known_from": state.get("origins") or {},
        "changes": [
            {"at": at, "limit": limit, "value": value, "reason": reason}
            for at, limit, value, reason in (one for one in state.get("history") or [] if len(one) == 4)
        ],
        "saved_at": saved_at,
    }


def account_lines(name: str, state: Mapping[str, Any], *, paused: bool, now: float) -> list[str]:
    """For people. ``state``: as from ``account_data``, or empty."""
    from laneway.cli.common import printable

    facts = []
    if paused:
        facts.append("paused by hand")
    if state.get("failure"):
        facts.append(f"stopped by a failure: {printable(state['failure'])[:120]} (`laneway resume account {name}`)")
    elif state and not state["answers"]:
        facts.append(_down(state, now))
    elif (failing := state.get("failing_share") or 0.0) >= 0.01:
        facts.append(f"{failing:.0%} of its calls failed lately")
    if state.get("in_flight"):
        facts.append(f"{state['in_flight']:,} in flight")
    limits = dict(state.get("limits") or {})
    if state.get("concurrency"):
        limits["concurrency"] = state["concurrency"]
    facts += [_limit(limit, value, state) for limit, value in limits.items()]
    if state and not limits:
        facts.append("no limit known")
    seen = f" ({ago(state['saved_at'], now)})" if state else ""
    lines = [f"account {name}: {', '.join(facts) or 'no limit known'}{seen}"]
    return lines + [_change(one, now) for one in (state.get("changes") or [])[-CHANGES:]]


def _down(state: Mapping[str, Any], now: float) -> str:
    from laneway.cli.common import printable

    said = "does not answer"
    if state.get("down_since"):
        said += f", down {ago(state['down_since'], now).removesuffix(' ago')}"
    if state.get("last_failure"):
        said += f" ({printable(state['last_failure'])[:120]})"
    next_probe = state.get("next_probe")
    return f"{said}, looked at again {ahead(next_probe, now)}" if next_probe and next_probe > now else said


def _limit(limit: str, value: float, state: Mapping[str, Any]) -> str:
    origin = state["known_from"].get(limit)
    source = {"headers": " by its headers", "found": " found", "hand": " set by hand"}.get(origin, "")
    return f"{value:,.0f} {SAID.get(limit, limit)}{source}"


def _change(one: Mapping[str, Any], now: float) -> str:
    value = "open" if one["value"] is None else f"{one['value']:,.0f}"
    return f"    {ago(one['at'], now):>12}  {SAID.get(one['limit'], one['limit'])}: {value} ({one['reason']})"
