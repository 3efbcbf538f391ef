"""Where bytes come from: a file, or standard input kept in a temporary file so that it can be looked at twice."""

from __future__ import annotations

import codecs
import gzip
import io
import mmap
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from laneway.errors import InputError
from laneway.intake.draft import BadLine

LONGEST_LINE = 32_000_000  # bytes
BOM = codecs.BOM_UTF8
PIECE = 1_000_000  # bytes
LARGEST_UNPACKED = 4_000_000_000  # bytes of a .gz file's content


class Source:
    """One input. ``name`` is how errors call it. ``unpack``: of a ``.gz`` file what is in it. Raises InputError when it
    cannot be read."""

    def __init__(self, argument: str, *, unpack: bool = False) -> None:
        self.argument = argument
        self.stdin = argument == "-"
        self.path = None if self.stdin else Path(argument)
        self.name = "standard input" if self.stdin else argument
        self._file = self._spool() if self.path is None else _open(self.path)
        self._packed = unpack and self.path is not None and self.path.suffix.casefold() == ".gz"
        if self._packed:
            self._file = _unpacked(self._file, self.name)
        if not self._file.read(1):
            self._file.close()
            raise InputError(f"{self.name} is empty", hint="one task a line; see the README for the formats")
        self._file.seek(0)
        if self._file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            self._file = _as_utf8(self._file, self.name)

    @property
    def suffix(self) -> str:
        if self.path is None:
            return ""
        return (Path(self.path.stem) if self._packed else self.path).suffix.casefold()

    def lines(self) -> Iterator[tuple[int, bytes | BadLine]]:
        """(line number, line) of every line that is not blank; a line beyond bounds as a BadLine."""
        self._file.seek(0)
        number = 0
        while line := self._file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
                yield number, BadLine(number, f"longer than {LONGEST_LINE:,} bytes", line[:200])
                while line and not line.endswith(b"\n"):
                    line = self._file.readline(LONGEST_LINE)
                continue
            if number == 1:
                line = line.removeprefix(BOM)
            if line := line.strip():
                yield number, line

    def whole(self) -> bytes | None:
        """All of it, unless that is more than a line may be."""
        self._file.seek(0)
        data = self._file.read(LONGEST_LINE + 1).removeprefix(BOM).strip()
        return data if len(data) <= LONGEST_LINE else None

    def head(self) -> bytes:
        """The first bytes that are neither a byte order mark nor blank."""
        self._file.seek(0)
        return self._file.read(4096).removeprefix(BOM).lstrip()

    def mapped(self) -> mmap.mmap:
        """The whole file as bytes that are read where they are looked at."""
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)

    def pieces(self) -> Iterator[bytes]:
        """The whole, a megabyte at a time."""
        self._file.seek(0)
        while piece := self._file.read(PIECE):
            yield piece

    def text(self, encoding: str) -> io.TextIOWrapper:
        """The whole as text, newlines untouched. May be closed without closing the source."""
        self._file.seek(0)
        return io.TextIOWrapper(io.BufferedReader(_Raw(self._file)), encoding=encoding, newline="")

    def close(self) -> None:
        self._file.close()

    @staticmethod
    def _spool() -> IO[bytes]:
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
        shutil.copyfileobj(sys.stdin.buffer, spool)
        spool.seek(0)
        return spool


class _Raw(io.RawIOBase):
    """The source's file under a text wrapper that may be thrown away without closing it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _as_utf8(file: IO[bytes], name: str) -> IO[bytes]:
    """What PowerShell and Excel write as "Unicode", for readers of bytes."""
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-16")("strict")
    try:
        with file:
            while piece := file.read(PIECE):
                spool.write(decoder.decode(piece).encode("utf-8"))
            decoder.decode(b"", final=True)
    except (UnicodeDecodeError, UnicodeEncodeError):
        spool.close()
        raise InputError(f"{name} begins as UTF-16 and is not", hint="save it as UTF-8") from None
    return spool


def _unpacked(file: IO[bytes], name: str) -> IO[bytes]:
    spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
    size = 0
    try:
        with file, gzip.GzipFile(fileobj=file) as packed:
            while size <= LARGEST_UNPACKED and (piece := packed.read(PIECE)):
                size += spool.write(piece)
    except (OSError, EOFError, zlib.error) as error:
        spool.close()
        raise InputError(f"{name} cannot be unpacked: {error}", hint="pack it again, or give it unpacked") from None
    if size > LARGEST_UNPACKED:
        spool.close()
        raise InputError(f"{name}: more than {LARGEST_UNPACKED:,} bytes unpacked", hint="take a part of it")
    spool.seek(0)
    return spool


def _open(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder", hint="give a file, or - for standard input")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}", hint="check the name, or give - for standard input") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
