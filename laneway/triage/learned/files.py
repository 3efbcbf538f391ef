"""Model files: arrays and a header of JSON in one ``.npz``. Read without pickle and within bounds, so that a file from
somebody else can do no more than give wrong advice."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from laneway.errors import ConfigError

FORMAT = 1  # of the file; a newer one is refused
LARGEST = 200_000_000  # bytes, packed
LARGEST_UNPACKED = 1_000_000_000
_HEADER = "header"
KINDS = "biuf"  # of numbers that an array may hold, as numpy names them

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ModelFile:
    """``kind``: what it decides. ``header``: JSON; ``arrays``: numbers only. ``id`` changes with the content."""

    kind: str
    header: Mapping[str, Any]
    arrays: Arrays = field(repr=False)
    id: str = ""


def save(path: Path, kind: str, header: Mapping[str, Any], arrays: Arrays) -> ModelFile:
    """Written whole or not at all; the same content gives the same bytes."""
    header = {"format": FORMAT, "kind": kind, **header}
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, allow_nan=False).encode()
    members: dict[str, Any] = {_HEADER: np.frombuffer(text, np.uint8), **arrays}
    new = path.with_name(path.name + ".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with new.open("wb") as file:
            np.savez_compressed(file, **members)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return ModelFile(kind, header, arrays, _id(text, arrays))


def load(path: Path, kind: str | None = None) -> ModelFile:
    """Raises ConfigError that names the file: it is not there, is none of ours, is of another kind or too large."""
    try:
        _measure(path)
        with np.load(path, allow_pickle=False) as file:
            members = {name: file[name] for name in file.files}
        text = members.pop(_HEADER).tobytes()
        header = json.loads(text)
        of_kind, version = header["kind"], header["format"]
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file", hint="`laneway triage train` makes it") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path} is no model file of Laneway's: {error}", hint="`laneway triage train` makes such files"
        ) from None
    if version != FORMAT:
        raise ConfigError(f"{path} is of format {version}, and this Laneway reads {FORMAT}", hint="train it again")
    if kind is not None and of_kind != kind:
        raise ConfigError(f"{path} decides {of_kind}, not {kind}", hint=f"give it as {of_kind} under [triage]")
    if odd := [name for name, array in members.items() if array.dtype.kind not in KINDS]:
        raise ConfigError(f"{path}: {odd[0]} holds no numbers", hint="train it again")
    return ModelFile(of_kind, header, members, _id(text, members))


def _measure(path: Path) -> None:
    if path.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1_000_000} MB")
    with zipfile.ZipFile(path) as packed:
        if sum(member.file_size for member in packed.infolist()) > LARGEST_UNPACKED:
            raise ValueError(f"larger than {LARGEST_UNPACKED // 1_000_000} MB unpacked")


def _id(text: bytes, arrays: Arrays) -> str:
    digest = hashlib.sha256(text)
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(str((arrays[name].dtype.str, arrays[name].shape)).encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:12]
