"""Where a setting stands: its dotted name for people, its line in the file, and whether a file it names is the
project's."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Place = tuple[int | str, ...]  # as pydantic has it: names, and indexes (from 0) into lists

LONGEST_STATEMENT = 500  # lines of one value that are searched through


def dotted(place: Place) -> str:
    """``("rules", 1, "when")`` → ``rules[2].when``: people count from 1, and names with dots in them are quoted."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else '"' + part.replace('"', '\\"') + '"'
            text += f".{name}" if text else name
    return text


def own_file(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a file really lies in one of these (real) folders, and is not hidden there."""
    real = path.resolve()
    inside = [real.relative_to(folder) for folder in folders if real.is_relative_to(folder)]
    return any(not any(part.startswith(".") for part in within.parts) for within in inside)


def leaves(table: Mapping[str, Any], place: Place = ()) -> Iterator[Place]:
    """The places of all single values in a table (lists of values count as one, lists of tables do not)."""
    for name, value in table.items():
        here = (*place, name)
        if isinstance(value, dict) and value:
            yield from leaves(value, here)
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            for index, one in enumerate(value):
                yield (*here, index)
                yield from leaves(one, (*here, index))
        else:
            yield here


def line_numbers(text: str) -> dict[Place, int]:
    """The line (from 1) on which each name of a valid TOML text is first set.

    ``tomllib`` keeps no positions, so its parser is given one statement after another. Only needed when something is
    wrong, so it may take its time.
    """
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    for number, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _open(_header(parsed), counts, repeated=statement.lstrip().startswith("[["))
            for depth in range(1, len(table) + 1):  # [lanes.legal] makes lanes as well
                found.setdefault(table[:depth], number)
        else:
            for names in _names(parsed, table):
                found.setdefault(names, number)
    return found


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines, joined until they parse."""
    pending: list[str] = []
    began = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not pending:
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            began = number
        pending.append(line)
        statement = "\n".join(pending)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            if len(pending) > LONGEST_STATEMENT:
                return
            continue
        yield began, statement
        pending = []


def _names(table: Mapping[str, Any], place: Place) -> Iterator[Place]:
    """The places of a statement's name and of those in its inline tables."""
    for name, value in table.items():
        here = (*place, name)
        yield here
        if isinstance(value, dict):
            yield from _names(value, here)
        elif isinstance(value, list):
            for index, one in enumerate(value):
                if isinstance(one, dict):
                    yield from _names(one, (*here, index))


def _header(parsed: Any) -> Place:
    """``[a.b]`` parses to tables in one another."""
    names: list[str] = []
    while parsed:
        if isinstance(parsed, list):
            parsed = parsed[0]
        else:
            name, parsed = next(iter(parsed.items()))
            names.append(name)
    return tuple(names)


def _open(names: Place, counts: dict[Place, int], *, repeated: bool) -> Place:
    """``[[rules]]`` opens the next element; ``[rules.when]`` goes into the last one."""
    place: Place = ()
    for name in names:
        if place in counts:
            place = (*place, counts[place])
        place = (*place, name)
    if repeated:
        counts[place] = counts.get(place, -1) + 1
        place = (*place, counts[place])
    return place
