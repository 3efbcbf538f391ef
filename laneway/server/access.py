"""Where the service may be reached, and under which names."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from laneway.errors import UsageError


@dataclass(frozen=True, slots=True)
class Access:
    """``token``: the environment's. ``hosts`` None: any name, since the tokens protect. ``opened``: others reach it."""

    token: str | None
    hosts: frozenset[str] | None
    opened: bool = False


def access(host: str, token: str | None, allowed: list[str], *, tokens: bool = False) -> Access:
    """``tokens``: the store has valid ones. Raises UsageError for an address that others can reach, without a token."""
    local = is_local(host)
    if not local and not token and not tokens:
        raise UsageError(
            f"{host} can be reached by others, and there is no token: anybody could spend your money",
            hint="`laneway token create NAME --role operate` (or export LANEWAY_TOKEN=…), or leave --host at 127.0.0.1",
        )
    names = {name.casefold() for name in allowed}
    if local:
        names |= {"localhost", "127.0.0.1", "::1", host.casefold()}
    elif names:
        names.add(host.casefold())
    return Access(token, frozenset(names) or None, not local)


def is_local(host: str) -> bool:
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
