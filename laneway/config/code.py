"""Python objects that a config names as ``module:name``."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from laneway.errors import ConfigError

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_reference(text: str) -> bool:
    """``models:Verdict`` is one, ``schemas/legal.json`` is not."""
    return _REFERENCE.fullmatch(text) is not None


def load_object(reference: str, folder: Path, place: str, hint: str) -> Any:
    """What ``module:name`` stands for; modules in ``folder`` are found as well. ``place``: where it is named, and
    as what, for the error. Raises ConfigError."""
    module, _, name = reference.partition(":")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as error:
        raise ConfigError(
            f"{place} {reference!r} cannot be loaded: {type(error).__name__}: {error}", hint=hint
        ) from error
    return found
