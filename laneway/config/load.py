"""Finding ``laneway.toml``, laying environment values over it, and saying exactly what is wrong with it."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from laneway.config.models import Config, parse_urgency
from laneway.errors import ConfigError

NAME = "laneway.toml"
PREFIX = "LANEWAY_"
_OWN = ("CONFIG", "STORE", "DEMO_KEY")  # variables of ours that are not config values
_TABLES = ("ACCOUNTS", "MODELS", "LANES", "TYPES", "URGENCY", "RETRY", "DEFAULTS")


def load(paths: Sequence[Path] = (), *, env: Mapping[str, str], cwd: Path) -> Config:
    """The settings from ``paths`` (later ones win; rules are appended), else ``LANEWAY_CONFIG``, else ``laneway.toml`` in
    ``cwd`` or above, else none; then single values from the environment (``LANEWAY_ACCOUNTS__MAIN__CONCURRENCY=5``).

    Raises ConfigError that names file, place and reason of every fault.
    """
    files = [path if path.is_absolute() else cwd / path for path in paths] or _from_env(env, cwd) or _above(cwd)
    data: dict[str, Any] = {}
    texts: list[str] = []
    for file in files:
        text, table = _read(file)
        texts.append(text)
        _merge(data, table)
    folder = files[-1].parent if files else cwd
    _lay_environment(data, env)
    where = str(files[-1]) if files else "the environment"
    try:
        config = Config.model_validate({**data, "folder": folder, "sources": tuple(files)})
    except ValidationError as error:
        raise ConfigError(_explain(error, where, texts), hint="mend the config and run again") from None
    faults = cross_check(config)
    if faults:
        raise ConfigError(f"{where}: " + "; ".join(faults), hint="mend the config and run again")
    return config


def _from_env(env: Mapping[str, str], cwd: Path) -> list[Path]:
    return [cwd / part for part in env.get(PREFIX + "CONFIG", "").split(os.pathsep) if part]


def _above(cwd: Path) -> list[Path]:
    for folder in (cwd, *cwd.parents):
        if (folder / NAME).is_file():
            return [folder / NAME]
    return []


def _read(file: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = file.read_text("utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError(f"there is no config at {file}", hint="check --config and LANEWAY_CONFIG") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"the config {file} cannot be read: {error}", hint="check the file and its permissions"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}", hint="mend that line and run again") from None


def _merge(into: dict[str, Any], table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        elif name == "rules" and isinstance(into.get(name), list):
            into[name] = [*into[name], *value]
        else:
            into[name] = value


def _lay_environment(data: dict[str, Any], env: Mapping[str, str]) -> None:
    for variable, text in sorted(env.items()):
        path = variable.removeprefix(PREFIX).split("__")
        if not variable.startswith(PREFIX) or path[0] in _OWN or path[0].startswith("TEST_"):
            continue
        if path[0] != "APP" and (path[0] not in _TABLES or len(path) < 2):
            if "__" in variable:
                raise ConfigError(
                    f"the variable {variable} names no setting",
                    hint=f"the tables are {', '.join(t.lower() for t in _TABLES)}; e.g. LANEWAY_ACCOUNTS__MAIN__CONCURRENCY=5",
                )
            continue
        table = data
        for part in path[:-1]:
            table = table.setdefault(_existing(table, part), {})
            if not isinstance(table, dict):
                raise ConfigError(f"the variable {variable} goes into a value that is no table", hint="check its name")
        table[_existing(table, path[-1])] = _value(text)


def _existing(table: Mapping[str, Any], name: str) -> str:
    """The table's own spelling of a name, else lower case."""
    return next((own for own in table if own.casefold() == name.casefold()), name.lower())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(error: ValidationError, where: str, texts: Sequence[str]) -> str:
    faults = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"])
        line = _line(texts, fault["loc"])
        if fault["type"] == "extra_forbidden":
            said = "there is no such setting" + _suggest(fault["loc"])
        else:
            said = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{place}{f' (line {line})' if line else ''}: {said}")
    return f"{where}: " + "; ".join(faults)


def _suggest(loc: tuple[int | str, ...]) -> str:
    from laneway.config import models

    sections: dict[str, Any] = {
        "accounts": models.AccountConfig,
        "models": models.ModelConfig,
        "lanes": models.LaneConfig,
        "types": models.TypeConfig,
        "urgency": models.UrgencyConfig,
        "retry": models.RetryConfig,
        "rules": models.RuleConfig,
        "defaults": models.DefaultsConfig,
    }
    section = Config if len(loc) == 1 else sections.get(str(loc[0]), Config)
    close = difflib.get_close_matches(str(loc[-1]), list(section.model_fields), 1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _line(texts: Sequence[str], loc: tuple[int | str, ...]) -> int | None:
    """Where the last name of a place is set, found as text (tomllib keeps no positions)."""
    if not texts or not isinstance(loc[-1], str):
        return None
    header = ".".join(str(part) for part in loc[:-1] if isinstance(part, str))
    inside = not header
    for number, line in enumerate(texts[-1].splitlines(), 1):
        if match := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
            inside = match[1].replace('"', "") == header
            if match[1].replace('"', "") == ".".join(str(part) for part in loc):
                return number
        elif inside and re.match(rf"""\s*["']?{re.escape(loc[-1])}["']?\s*=""", line):
            return number
    return None


def cross_check(config: Config) -> list[str]:
    """What is wrong between the sections, in words."""
    faults: list[str] = []

    def known(what: str, name: str | None, names: Mapping[str, Any], place: str) -> None:
        if name is None or not names or name in names:
            return
        close = difflib.get_close_matches(name, list(names), 1)
        faults.append(f"{place}: there is no {what} {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))

    for name, model in config.models.items():
        for account in model.account_names:
            if account not in config.accounts:
                close = difflib.get_close_matches(account, list(config.accounts), 1)
                faults.append(
                    f"models.{name}: there is no account {account!r}"
                    + (f"; did you mean {close[0]!r}?" if close else "")
                )
    for number, rule in enumerate(config.rules, 1):
        for model_name in (rule.model, *(rule.fallbacks or ())):
            known("model", model_name, config.models, f"rules[{number}]")
        _urgency(config, rule.urgency, f"rules[{number}]", faults)
        if not rule.when and not rule.function:
            faults.append(f"rules[{number}]: give it `when` or `function`")
    known("model", config.defaults.model, config.models, "defaults")
    _urgency(config, config.defaults.urgency, "defaults", faults)
    for name, kind in config.types.items():
        known("model", kind.model, config.models, f"types.{name}")
        _urgency(config, kind.urgency, f"types.{name}", faults)
        for field in ("system", "prompt", "output"):
            path = getattr(kind, field)
            if path is not None and not (config.folder / path).is_file():
                faults.append(f"types.{name}.{field}: there is no file {config.folder / path}")
    for name in config.urgency:
        try:
            parse_urgency(name)
        except ValueError as error:
            faults.append(f"urgency.{name}: {error}")
    return faults


def _urgency(config: Config, word: str | None, place: str, faults: list[str]) -> None:
    if word is None:
        return
    try:
        config.urgency_of(word)
    except ValueError as error:
        faults.append(f"{place}: {error}")
