"""Putting a proposal's files into a folder. What is there already stays, unless it is told to go."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from laneway.errors import ConfigError
from laneway.setup.proposal import NewFile


@dataclass(frozen=True, slots=True)
class Written:
    written: tuple[str, ...]
    kept: tuple[str, ...]  # that were there already


def write(folder: Path, files: Sequence[NewFile], *, force: bool) -> Written:
    """Write the files. Raises ConfigError where one cannot be written."""
    written, kept = [], []
    for new in files:
        path = folder / new.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if force:
                _replace(path, new.text)
            else:
                with path.open("x", encoding="utf-8", newline="\n") as file:  # fails where there is one
                    file.write(new.text)
            written.append(new.path)
        except FileExistsError:
            kept.append(new.path)
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be written: {error.strerror}", hint="check the folder's permissions, or use another"
            ) from None
    return Written(tuple(written), tuple(kept))


def _replace(path: Path, text: str) -> None:
    """As a whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
