"""The limits that a provider tells against those that are configured."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from laneway.providers.model import Account, Observed
from laneway.setup.doctor.findings import Finding, ok, warning

_DAY = 86_400.0
_WORDS = {
    "requests_per_second": "requests a second",
    "requests_per_minute": "requests a minute",
    "requests_per_day": "requests a day",
    "tokens_per_minute": "tokens a minute",
    "input_tokens_per_minute": "input tokens a minute",
    "output_tokens_per_minute": "output tokens a minute",
    "concurrency": "calls at once",
}


def told_by(observed: Sequence[Observed]) -> dict[str, float]:
    """What headers say, by the names in the config."""
    found = {}
    for one in observed:
        name = f"{one.kind}_per_{'day' if one.window == _DAY else 'minute'}"
        if one.limit and name in _WORDS:
            found[name] = one.limit
    return found


def examine_limits(account: Account, told: Mapping[str, float], source: str) -> Iterator[Finding]:
    """``told``: from headers, by the names in the config; ``source``: when they were read (``by this call``)."""
    check = f"limits {account.name}"
    configured = {name: float(value) for name, value in dataclasses.asdict(account.limits).items() if value is not None}
    above = {name: told[name] for name in configured if name in told and configured[name] > told[name] * 1.001}
    for name, limit in above.items():
        yield warning(
            check,
            f"{name} = {configured[name]:g} is more than the provider grants: {limit:,.0f} {_WORDS[name]} ({source})",
            f"set {name} = {limit:.0f} under [accounts.{account.name}]; until then the provider's own number holds",
        )
    if above:
        return
    if told:
        words = ", ".join(f"{limit:,.0f} {_WORDS[name]}" for name, limit in told.items())
        below = [f"{configured[name]:g} {_WORDS[name]}" for name in configured if configured[name] < told.get(name, 0)]
        yield ok(check, f"the provider grants {words} ({source})" + (f"; kept to {', '.join(below)}" if below else ""))
    elif configured:
        yield ok(check, "as configured: " + ", ".join(f"{v:,.0f} {_WORDS[n]}" for n, v in configured.items()))
    else:
        yield ok(check, "none configured and none known yet; found out from the first answers")
