"""What the user has said may be sent where: a small file in the user's own state folder, never in a project.

An entry is a pairing: this config file may send this (a variable's key, a file) to this address. Another address,
another variable or another place of the config is another pairing.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from laneway.errors import ConfigError

log = logging.getLogger(__name__)


class Pairing(NamedTuple):
    """``config``: the file's real path. ``sends``: ``variable NAME`` or ``file /real/path``. ``to``: scheme, host and
    port."""

    config: str
    sends: str
    to: str


class TrustBook:
    """The pairings that the user trusts. Read when first asked, written whole (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._since: dict[Pairing, float] | None = None

    def since(self, pairing: Pairing) -> float | None:
        """When a pairing was trusted (seconds since 1970), None when it is not. Raises ConfigError when the file is
        damaged."""
        return self.entries().get(pairing)

    def entries(self) -> Mapping[Pairing, float]:
        if self._since is None:
            self._since = self._read()
        return self._since

    def add(self, pairings: Iterable[Pairing], now: float) -> None:
        kept = self._read()
        self._write({**{pairing: now for pairing in pairings if pairing not in kept}, **kept})

    def remove(self, pairings: Iterable[Pairing]) -> None:
        gone = set(pairings)
        self._write({pairing: since for pairing, since in self._read().items() if pairing not in gone})

    def _read(self) -> dict[Pairing, float]:
        try:
            if not _only_ours(self.path):
                log.warning("%s can be written by others: nothing in it is believed", self.path)
                return {}
            data = json.loads(self.path.read_text("utf-8"))
            return {Pairing(one["config"], one["sends"], one["to"]): float(one["since"]) for one in data["trusted"]}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(
                f"the list of what you trust, {self.path}, cannot be read: {error.strerror}", hint="check the file"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise ConfigError(
                f"the list of what you trust, {self.path}, is damaged",
                hint="move it away and run `laneway trust` in your projects again",
            ) from None

    def _write(self, since: Mapping[Pairing, float]) -> None:
        rows = [{**pairing._asdict(), "since": at} for pairing, at in since.items()]
        text = json.dumps({"version": 1, "trusted": rows}, indent=1, ensure_ascii=False) + "\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(  # mode 0600
                "w", dir=self.path.parent, prefix=self.path.name, encoding="utf-8", delete=False
            ) as file:
                file.write(text)
            Path(file.name).replace(self.path)
        except OSError as error:
            raise ConfigError(
                f"the list of what you trust, {self.path}, cannot be written: {error.strerror}",
                hint="check the folder's permissions; XDG_STATE_HOME names another",
            ) from None
        self._since = dict(since)


def trust_file(env: Mapping[str, str]) -> Path:
    """``laneway/trust.json`` in the user's state folder (XDG Base Directory Specification: a relative folder does not
    count)."""
    named = Path(env.get("XDG_STATE_HOME") or "")
    if named.is_absolute():
        folder = named
    elif os.name == "nt" and env.get("LOCALAPPDATA"):
        folder = Path(env["LOCALAPPDATA"])
    else:
        home = env.get("HOME")
        folder = (Path(home) if home else Path.home()) / ".local" / "state"
    return folder / "laneway" / "trust.json"


def _only_ours(path: Path) -> bool:
    """Nobody but its owner, who is us or root, can have written it."""
    if os.name != "posix":
        return True
    found = path.stat()
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & 0o022
