"""The routing that a pilot found, put into ``laneway.toml`` beside what stands there: comments stay."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laneway.config.load import load
from laneway.errors import ConfigError, LanewayError

if TYPE_CHECKING:
    from laneway.config.models import Config


@dataclass(frozen=True, slots=True)
class Edit:
    path: Path
    before: str
    after: str

    @property
    def diff(self) -> str:
        name = self.path.name
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), name, name, n=2, lineterm="")
        return "\n".join(lines)


def routing(config: Config, types: Sequence[str], model: str, fallback: str | None) -> Edit:
    """Send tasks of these types to ``model``: under ``[types.NAME]`` where the config has it, else by a rule. Raises
    ConfigError where there is no file to write into."""
    import tomlkit

    path, before = _source(config)
    document: Any = tomlkit.parse(before)
    fallbacks = [fallback] if fallback else []
    for name in types:
        table = document.get("types", {}).get(name)
        if table is None:
            _rule(document, name, model, fallbacks)
            continue
        table["model"] = model
        if fallbacks:
            table["fallbacks"] = fallbacks
        elif "fallbacks" in table:
            del table["fallbacks"]
    return Edit(path, before, tomlkit.dumps(document))


def learnt(config: Config, file: str, floor: float) -> Edit:
    """Let a model file choose the model. Raises ConfigError where there is no file to write into."""
    import tomlkit

    path, before = _source(config)
    document: Any = tomlkit.parse(before)
    if "triage" not in document:
        document["triage"] = tomlkit.table()
    document["triage"]["model"] = file
    document["triage"]["quality_floor"] = floor
    return Edit(path, before, tomlkit.dumps(document))


def _source(config: Config) -> tuple[Path, str]:
    if not config.sources:
        raise ConfigError("there is no laneway.toml to write into", hint="`laneway init` makes one")
    path = config.sources[-1]
    return path, path.read_text("utf-8")


def _rule(document: Any, type_name: str, model: str, fallbacks: list[str]) -> None:
    import tomlkit

    name = f"pilot: {type_name}"
    rules = document.get("rules")
    if rules is None:
        rules = document["rules"] = tomlkit.aot()
    rule = next((one for one in rules if one.get("name") == name), None)
    if rule is None:
        rule = tomlkit.table()
        rule["name"] = name
        when = tomlkit.inline_table()
        when["type"] = type_name
        rule["when"] = when
        rules.append(rule)
    rule["model"] = model
    if fallbacks:
        rule["fallbacks"] = fallbacks


def apply(edit: Edit, config: Config, env: dict[str, str]) -> Path:
    """Write it, as a whole or not at all, and keep what was there as ``laneway.toml.before-pilot``. Raises ConfigError,
    with everything as it was, where the config would not be sound."""
    backup = edit.path.with_name(edit.path.name + ".before-pilot")
    try:
        _replace(backup, edit.before)
        _replace(edit.path, edit.after)
    except OSError as error:
        raise ConfigError(f"{edit.path} cannot be written: {error.strerror}", hint="check its permissions") from None
    try:
        load(list(config.sources), env=env, cwd=config.folder)
    except LanewayError as error:
        _replace(edit.path, edit.before)
        raise ConfigError(
            f"{edit.path} would not be sound: {error.message}", hint="nothing was changed; write the routing by hand"
        ) from None
    return backup


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if path.exists():
        partial.chmod(path.stat().st_mode & 0o777)
    partial.replace(path)
