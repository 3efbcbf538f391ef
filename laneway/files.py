"""Files with content in them are their owner's alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

PRIVATE = 0o600


def open_private(path: Path, mode: str, *, permissions: int = PRIVATE) -> IO[Any]:
    """Like ``path.open(mode)``, but a file that this creates is for its owner only (or less, if the umask says so). A
    file that is there keeps its mode."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, permissions)

    return open(path, mode, opener=opener)
