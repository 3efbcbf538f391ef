"""Values for the shell's completion, from the config. Loads nothing but that; one with faults completes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from laneway.errors import LanewayError

if TYPE_CHECKING:
    from laneway.config.models import Config


def models(context: typer.Context, incomplete: str) -> list[str]:
    config = _config(context)
    return _beginning(incomplete, [*config.models, "auto"] if config else [])


def accounts(context: typer.Context, incomplete: str) -> list[str]:
    config = _config(context)
    return _beginning(incomplete, config.accounts if config else [])


def lanes(context: typer.Context, incomplete: str) -> list[str]:
    config = _config(context)
    if config is None:
        return []
    named = [*(kind.lane for kind in config.types.values()), *(rule.lane for rule in config.rules)]
    return _beginning(incomplete, dict.fromkeys([*config.lanes, *filter(None, named), config.defaults.lane]))


def types(context: typer.Context, incomplete: str) -> list[str]:
    config = _config(context)
    return _beginning(incomplete, config.types if config else [])


def urgencies(context: typer.Context, incomplete: str) -> list[str]:
    from laneway.task import Urgency

    config = _config(context)
    aliases = [alias for own in config.urgency.values() for alias in own.aliases] if config else []
    return _beginning(incomplete, [*(urgency.label for urgency in Urgency), *aliases])


def _config(context: typer.Context) -> Config | None:
    from laneway.config.load import load

    given = context.params.get("config") or ()
    try:
        return load([Path(path).absolute() for path in given], env=os.environ, cwd=Path.cwd())
    except (LanewayError, OSError):
        return None


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
