"""Finding ``laneway.toml``, laying environment values over it, and saying exactly what is wrong with it."""

from __future__ import annotations

import hashlib
import os
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from laneway.config import environment
from laneway.config.check import check
from laneway.config.code import is_reference
from laneway.config.faults import INNER, Fault, of_validation, raise_faults, unknown_setting
from laneway.config.models import Config
from laneway.config.places import Place, dotted, leaves, line_numbers
from laneway.errors import ConfigError

NAME = "laneway.toml"
LARGEST_FILE = 4_000_000  # bytes
_PATHS = {"types": ("system", "prompt", "output"), "accounts": ("api_key_file",)}
_EITHER = {"models": ("account", "accounts"), "accounts": ("api_key_env", "api_key_file")}


def load(paths: Sequence[Path] = (), *, env: Mapping[str, str], cwd: Path) -> Config:
    """The settings from ``paths``, else from ``LANEWAY_CONFIG``, else from ``laneway.toml`` in ``cwd`` or above, else
    none; then single values from the environment (``LANEWAY_ACCOUNTS__MAIN__CONCURRENCY=5``).

    Of several files the later win, table by table; their ``[[rules]]`` follow each other, so that an earlier file's
    rules decide first. A path in a file starts at that file. ``folder`` is the last file's.

    Raises ConfigError that names file, line, setting and reason of every fault.
    """
    files = found_files(paths, env=env, cwd=cwd)
    folder = files[-1].parent if files else cwd
    draft = _Draft()
    for file in files:
        draft.add_file(file, folder)
    draft.add_environment(env)
    return draft.config(folder)


def found_files(paths: Sequence[Path] = (), *, env: Mapping[str, str], cwd: Path) -> list[Path]:
    """The files that ``load`` reads, in its order."""
    return [cwd / path for path in paths] or _from_env(env, cwd) or _above(cwd)


def namespace(config: Config) -> str:
    """A short name of the config's folder, the same from wherever it is read: ``invoices-3f9a1c20b4d7``."""
    folder = config.folder.resolve()
    return f"{folder.name or 'root'}-{hashlib.blake2b(os.fsencode(folder), digest_size=6).hexdigest()}"


@dataclass
class _Draft:
    """What the files and variables say, before it is known to make sense."""

    data: dict[str, Any] = field(default_factory=dict)
    files: list[tuple[Path, str]] = field(default_factory=list)
    rule_places: list[tuple[int, int]] = field(default_factory=list)  # (file, index in it) of each rule
    file_of: dict[str, int] = field(default_factory=dict)  # dotted name → file
    variable_of: dict[Place, tuple[str, str]] = field(default_factory=dict)  # place → variable, its text
    faults: list[Fault] = field(default_factory=list)

    def add_file(self, file: Path, folder: Path) -> None:
        text, table = _read(file)
        number = len(self.files)
        self.files.append((file, text))
        if file.parent != folder:
            _anchor(table, file.parent)
        rules = table.get("rules")
        if isinstance(rules, list) and isinstance(self.data.get("rules", []), list):
            self.rule_places += [(number, index) for index in range(len(rules))]
            table["rules"] = [*self.data.get("rules", []), *rules]
        for place in leaves(table):
            name = dotted(place)
            if place[0] == "rules" and len(place) > 1 and isinstance(place[1], int) and name in self.file_of:
                continue
            self.file_of[name] = number
        _settle_either(self.data, table)
        _merge(self.data, table)
        for name in INNER:
            if name in self.data:
                self.faults.append(Fault((name,), unknown_setting((name,))))
                del self.data[name]

    def add_environment(self, env: Mapping[str, str]) -> None:
        for found in environment.settings(env, self.data):
            if isinstance(found, Fault):
                self.faults.append(found)
                continue
            variable, place, value = found
            single: Any = value
            for part in reversed(place):
                single = {part: single}
            _settle_either(self.data, single)
            _merge(self.data, single)
            self.variable_of[place] = (variable, env[variable])

    def config(self, folder: Path) -> Config:
        faults = self.faults
        config = self._validated(folder)
        faults = [*faults, *(check(config) if isinstance(config, Config) else config)]
        raise_faults([(fault, *self._where(fault)) for fault in faults])
        assert isinstance(config, Config)
        return config

    def _validated(self, folder: Path) -> Config | list[Fault]:
        origin = {name: str(self.files[number][0]) for name, number in self.file_of.items()}
        origin.update({dotted(place): variable for place, (variable, _) in self.variable_of.items()})
        inner = {"folder": folder, "sources": tuple(file for file, _ in self.files), "origin": origin}
        try:
            return Config.model_validate({**self.data, **inner})
        except ValidationError as error:
            if not self._take_as_text(error):
                return of_validation(error)
        try:
            return Config.model_validate({**self.data, **inner})
        except ValidationError as error:
            return of_validation(error)

    def _take_as_text(self, error: ValidationError) -> bool:
        """A variable's value like ``4`` was read as a number, and a text is wanted there."""
        changed = False
        for fault in error.errors():
            if fault["type"] in ("string_type", "path_type") and fault["loc"] in self.variable_of:
                table: Any = self.data
                for part in fault["loc"][:-1]:
                    table = table[part]
                table[fault["loc"][-1]] = self.variable_of[fault["loc"]][1]
                changed = True
        return changed

    def _where(self, fault: Fault) -> tuple[str, int | None]:
        """The file and line, or the variable, that a fault is to be mended in."""
        if fault.source:
            return f"the variable {fault.source}", None
        within = dotted(fault.place)
        in_files = any(name == within or name.startswith(within + ".") for name in self.file_of)
        for place, (variable, _) in self.variable_of.items():
            around = place[: len(fault.place)] == fault.place or fault.place[: len(place)] == place
            if place == fault.place or (around and not in_files):
                return f"the variable {variable}", None
        return self._line(fault.place)

    def _line(self, place: Place) -> tuple[str, int | None]:
        """The line of a place, or of the innermost table around it, in the last file that has it."""
        if not self.files:
            return "the environment", None
        numbers = range(len(self.files))
        if place[:1] == ("rules",) and len(place) > 1 and isinstance(place[1], int) and self.rule_places:
            number, index = self.rule_places[place[1]]
            numbers, place = range(number, number + 1), ("rules", index, *place[2:])
        lines = {number: line_numbers(self.files[number][1]) for number in numbers}
        for end in range(len(place), 0, -1):
            for number in reversed(numbers):
                if line := lines[number].get(place[:end]):
                    return str(self.files[number][0]), line
        return str(self.files[-1][0]), None


def _from_env(env: Mapping[str, str], cwd: Path) -> list[Path]:
    return [cwd / part for part in env.get("LANEWAY_CONFIG", "").split(os.pathsep) if part]


def _above(cwd: Path) -> list[Path]:
    """Folders above that anybody may write to (``/tmp``) are passed over: a config may name code to be run."""
    for folder in (cwd, *cwd.parents):
        file = folder / NAME
        if file.is_file() and (folder == cwd or not _for_everybody(folder)):
            return [file]
    return []


def _for_everybody(folder: Path) -> bool:
    return os.name == "posix" and bool(folder.stat().st_mode & stat.S_IWOTH)


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise ConfigError(f"{file}: larger than {LARGEST_FILE:,} bytes", hint="is this the right file?")
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"there is no config at {file}", hint="check --config and LANEWAY_CONFIG") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8", hint="save it as UTF-8 and run again") from None
    except OSError as error:
        raise ConfigError(
            f"the config {file} cannot be read: {error.strerror}", hint="check the file and its permissions"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}", hint="mend that line and run again") from None


def _anchor(table: Mapping[str, Any], folder: Path) -> None:
    """Paths in a file start at that file, whichever file gives the config its folder."""
    for section, names in _PATHS.items():
        entries = table.get(section)
        for entry in entries.values() if isinstance(entries, dict) else ():
            for name in names:
                _anchor_one(entry, name, folder)
            checks = entry.get("checks") if isinstance(entry, dict) else None
            for one in checks if isinstance(checks, list) else ():
                _anchor_one(one, "schema", folder)


def _anchor_one(entry: Any, name: str, folder: Path) -> None:
    if isinstance(entry, dict) and isinstance(entry.get(name), str) and not is_reference(entry[name]):
        entry[name] = str(folder / entry[name])


def _settle_either(data: Mapping[str, Any], table: Mapping[str, Any]) -> None:
    """Of two spellings that exclude each other the later source's takes the place of the earlier's."""
    for section, names in _EITHER.items():
        entries, before = table.get(section), data.get(section)
        if not isinstance(entries, dict) or not isinstance(before, dict):
            continue
        for key, entry in entries.items():
            old = before.get(key)
            if isinstance(entry, dict) and isinstance(old, dict) and any(name in entry for name in names):
                for name in names:
                    if name not in entry:
                        old.pop(name, None)


def _merge(into: dict[str, Any], table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
