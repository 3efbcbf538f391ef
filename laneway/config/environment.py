"""Single settings by environment variables: ``LANEWAY_ACCOUNTS__MAIN__CONCURRENCY=5``.

A double underscore goes one table deeper; a name is that of an existing entry, letter case and punctuation aside
(``MY_ACCOUNT`` is ``my-account``). The value is read as TOML where it is TOML (``5``, ``true``, ``["a", "b"]``), else
as a text. An empty variable is as good as none. Variables without a double underscore are not ours (Kubernetes sets
``LANEWAY_PORT`` for a service of our name), but for ``LANEWAY_APP``.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from laneway.config.faults import Fault, close_match
from laneway.config.places import Place, dotted

PREFIX = "LANEWAY_"
OWN = ("LANEWAY_CONFIG", "LANEWAY_STORE", "LANEWAY_DEMO_KEY")
OWN_PREFIX = "LANEWAY_TEST_"
TABLES = ("accounts", "models", "lanes", "types", "urgency", "retry", "defaults")
_HINT = "the tables are " + ", ".join(TABLES) + "; e.g. LANEWAY_ACCOUNTS__MAIN__CONCURRENCY=5"


def settings(env: Mapping[str, str], data: Mapping[str, Any]) -> Iterator[tuple[str, Place, Any] | Fault]:
    """(variable, place, value) for each variable that sets something, in order of their names. ``data`` is what the
    files say: names are matched against it."""
    reserved = _named_as_keys(env, data)
    spoken_for: dict[Place, str] = {}
    for variable, text in sorted(env.items()):
        if not variable.startswith(PREFIX) or variable in OWN or variable.startswith(OWN_PREFIX):
            continue
        if variable in reserved or not text.strip() or ("__" not in variable and variable.upper() != "LANEWAY_APP"):
            continue
        found = _place(variable, data)
        if isinstance(found, Fault):
            yield found
            continue
        same = tuple(_plain(part) if isinstance(part, str) else part for part in found)
        if same in spoken_for:
            yield Fault((), f"it sets the same as {spoken_for[same]}", variable)
            continue
        spoken_for[same] = variable
        yield variable, found, value(text)


def value(text: str) -> Any:
    """A variable's text as TOML, else as it is."""
    if "\n" in text or "\r" in text:
        return text
    try:
        parsed = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    # no setting is a date, but a model's id may look like one
    return text if isinstance(parsed, datetime.date | datetime.time) else parsed


def _place(variable: str, data: Mapping[str, Any]) -> Place | Fault:
    parts = variable.removeprefix(PREFIX).split("__")
    if not all(parts):
        return Fault((), "a name between the double underscores is missing", variable)
    place: list[int | str] = []
    table: Any = data
    for depth, part in enumerate(parts):
        known: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
        if depth == 0:
            known = dict.fromkeys((*TABLES, "app"))
        matching = [own for own in known if own.casefold() == part.casefold()] or [
            own for own in known if _plain(own) == _plain(part)
        ]
        if len(matching) > 1:
            names = " and ".join(sorted(matching))
            return Fault((), f"{part} could be {names}: set it in the file instead", variable)
        if depth == 0 and (not matching or (matching[0] == "app") != (len(parts) == 1)):
            return Fault((), "it names no setting" + (close_match(part, TABLES) or f": {_HINT}"), variable)
        name = matching[0] if matching else part.lower()
        place.append(name)
        table = table.get(name) if isinstance(table, Mapping) else None
        if depth < len(parts) - 1 and table is not None and not isinstance(table, Mapping):
            return Fault((), f"{dotted(tuple(place))} is a single value, not a table", variable)
    if len(parts) < (2 if place[0] in ("app", "retry", "defaults") else 3) and place[0] != "app":
        return Fault((), f"it stops at a table: {_HINT}", variable)
    return tuple(place)


def _named_as_keys(env: Mapping[str, str], data: Mapping[str, Any]) -> set[str]:
    """Variables that some account has named as the place of its key: they hold secrets, not settings."""
    named = {text.strip() for variable, text in env.items() if variable.upper().endswith("__API_KEY_ENV")}
    accounts = data.get("accounts")
    for account in accounts.values() if isinstance(accounts, Mapping) else ():
        if isinstance(account, Mapping) and isinstance(account.get("api_key_env"), str):
            named.add(account["api_key_env"])
    return named


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.casefold())
