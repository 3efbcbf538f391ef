"""Which files an argument means: a folder's, a pattern's, or several named ones. Names only; nothing is opened."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from laneway.errors import InputError

_OURS = (".results.jsonl", ".results.csv", ".errors.jsonl", ".bad.jsonl", ".partial")
_SYSTEM = ("thumbs.db", "desktop.ini", "laneway.toml")


@dataclass(frozen=True, slots=True)
class Files:
    """One task each. ``name`` is how errors call them all; ``paths`` are sorted."""

    name: str
    paths: Sequence[tuple[str, Path]]  # (name within the input, with / on every system; where it is)


def files_of(arguments: Sequence[str], passed_over: Collection[Path] = ()) -> Files | str:
    """The files that are meant, or the one argument that is a file by itself (or "-", or nothing that exists).

    Files of a folder are named relative to it, others as they were given. Hidden files, ``passed_over`` (resolved) and
    what Laneway itself writes are left out. Raises InputError when a pattern matches nothing or a folder is empty.
    """
    if len(arguments) == 1:
        (argument,) = arguments
        path = Path(argument)
        if argument == "-" or path.is_file():
            return argument
        if path.is_dir():
            return _listed(argument, _walk(path, path), passed_over)
        if not glob.has_magic(argument) or path.exists():
            return argument
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - keeps the paths as they were given
        if not matches:
            raise InputError(
                f"nothing matches {argument}",
                hint="check the pattern; ** goes into subfolders, as in 'claims/**/*.pdf'",
            )
        if len(matches) == 1 and Path(matches[0]).is_file():
            return matches[0]
        return _listed(argument, _each(matches), passed_over)
    return _listed(f"{arguments[0]} and {len(arguments) - 1:,} more", _each(arguments), passed_over)


def stem_of(arguments: Sequence[str]) -> Path:
    """Where results go by default, without a suffix: beside the input and called like it."""
    argument = arguments[0]
    if argument == "-":
        return Path("stdin")
    path = Path(argument)
    if len(arguments) > 1:
        folder = Path(os.path.commonpath([Path(one).absolute().parent for one in arguments]))
        return _beside(folder)
    if glob.has_magic(argument) and not path.exists():
        fixed = [*_until_magic(path.parts)]
        pattern = re.sub(r"\W+", "-", "-".join(path.parts[len(fixed) :])).strip("-")
        stem = _beside(Path(*fixed))
        return stem.with_name(f"{stem.name}-{pattern}" if pattern else stem.name)
    if path.is_dir():
        return _beside(path)
    return path.with_name(path.stem) if path.stem else path


def _beside(folder: Path) -> Path:
    """``claims`` for the folder claims; for the current folder a file inside it that is called like it."""
    if folder.resolve() == Path.cwd():
        return Path(Path.cwd().name or "files")
    whole = folder.resolve()
    name = whole.name or "files"
    return folder.with_name(name) if folder.name not in ("", "..") else Path(name)


def _until_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def _walk(folder: Path, base: Path) -> Iterator[tuple[str, Path]]:
    """All files below a folder; what cannot be listed is named like a file, to be found unreadable."""
    unlisted: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=lambda error: unlisted.append(Path(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(root, name)
            yield path.relative_to(base).as_posix(), path
    for path in unlisted:
        yield path.relative_to(base).as_posix(), path


def _each(arguments: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Files as given, and those of the folders among them."""
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            yield from ((path.joinpath(name).as_posix(), inner) for name, inner in _walk(path, path))
        else:
            yield path.as_posix(), path


def _listed(name: str, found: Iterator[tuple[str, Path]], passed_over: Collection[Path]) -> Files:
    paths = sorted({at: path for at, path in found if not _left_out(path, passed_over)}.items())
    if not paths:
        raise InputError(f"{name} holds no files", hint="hidden files are passed over; check the name")
    return Files(name, paths)


def _left_out(path: Path, passed_over: Collection[Path]) -> bool:
    name = path.name
    if name.startswith((".", "~$")) or name.casefold() in _SYSTEM or name.endswith(_OURS):
        return True
    return bool(passed_over) and path.resolve() in passed_over
