"""The results file: appended as tasks are settled, exact after any crash.

The store keeps how many bytes of OUT are durable and up to which result they go. On the way: write, fsync, then save
both. After a crash OUT is cut back to the saved length, so that nothing stands in it twice and nothing is missing.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from laneway.config.models import Config
from laneway.errors import ConflictError, InputError, StoreError
from laneway.files import open_private
from laneway.intake.places import stem_of
from laneway.intake.shapes import Shape
from laneway.store.interface import Store
from laneway.store.keeping import answers_pruned
from laneway.store.runs import Run
from laneway.task import State

BATCH = 1000  # results in one write


def default_out(argument: str, also: Sequence[str] = ()) -> Path:
    """``<stem>.results.jsonl`` beside the input."""
    stem = stem_of((argument, *also))
    return stem.with_name(stem.name + ".results.jsonl")


def run_identity(out: Path, config: Config) -> str:
    """A run is the same again when it writes the same file under the same config."""
    folder = config.folder.resolve() if config.sources else "-"
    return f"{out.resolve()} ({folder})"


def errors_file(out: Path) -> Path:
    return out.with_name(out.name + ".errors.jsonl")


def check_out(out: Path, *, known: bool, fresh: bool, touch: bool = True) -> None:
    """Whether OUT can be written, and is ours to write. Raises InputError or ConflictError, before anything is paid.
    ``touch`` False: without trying it."""
    if out.suffix.casefold() not in (".jsonl", ".csv"):
        raise InputError(f"the results file {out} is neither .jsonl nor .csv", hint="choose one of these with -o")
    if out.is_dir():
        raise InputError(f"{out} is a folder", hint="give a file with -o")
    if not out.parent.is_dir():
        raise InputError(
            f"there is no folder {out.parent} for the results", hint="create it, or choose another with -o"
        )
    existed = out.exists()
    if existed and out.stat().st_size and not known and not fresh:
        raise ConflictError(
            f"{out} exists and this store knows nothing of it",
            hint="choose another file with -o, or overwrite it with --fresh",
        )
    if not touch:
        return
    try:
        with out.open("ab"):
            pass
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}", hint="choose another file with -o") from None
    if not existed:
        out.unlink()


class ResultsWriter:
    """Owns OUT for the length of a ``with`` block. ``pump`` may be called at any time, ``finish`` once at the end."""

    def __init__(self, store: Store, out: Path, shape: Shape) -> None:
        self._store = store
        self._out = out
        self._shape = shape
        self._run: Run | None = None
        self._file: IO[bytes] | None = None
        self._cursor = self._offset = 0
        self._pumping = asyncio.Lock()
        self.written = 0

    def __enter__(self) -> ResultsWriter:
        self._created = not self._out.exists()
        self._file = _own(self._out)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        if self._created and self._run is None:
            self._out.unlink(missing_ok=True)  # it never came to writing

    async def begin(self, run: Run) -> None:
        """Cut OUT back to what is durable. ``run`` as sealed: its cursor is 0 when OUT has to be written anew."""
        assert self._file is not None
        self._cursor, self._offset = run.cursor, run.offset
        size = self._file.seek(0, os.SEEK_END)
        head = self._shape.head()
        if size < self._offset or (self._offset and head and not self._starts_with(head)):
            self._cursor = self._offset = 0  # OUT was changed by somebody else, or has other columns now
        if not self._offset and run.generation > 1 and (gone := await self._store.pruned(run)):
            raise answers_pruned(gone, str(self._out))
        self._run = run
        errors_file(self._out).unlink(missing_ok=True)
        self._file.truncate(self._offset)
        self._file.seek(self._offset)
        if not self._offset and head:
            await asyncio.to_thread(self._append, head)
            await self._store.save_cursor(run.id, self._cursor, self._offset)

    async def pump(self) -> int:
        """Append what has been settled since the last time. Returns how many results were taken."""
        taken = 0
        assert self._run is not None, "pump comes after begin"
        async with self._pumping:
            more = True
            while more and (results := await self._store.results_after(self._run, self._cursor, BATCH)):
                more = len(results) == BATCH  # what comes while these are written is for the next time
                rows = [self._shape.row(result) for result in results if result.state is State.SUCCEEDED]
                if rows:
                    await asyncio.to_thread(self._append, b"".join(rows))
                self._cursor = results[-1].seq
                await self._store.save_cursor(self._run.id, self._cursor, self._offset)
                taken += len(results)
                self.written += len(rows)
        return taken

    async def finish(self) -> None:
        """Write the rest, and the failures into ``<OUT>.errors.jsonl``."""
        await self.pump()
        assert self._run is not None
        path = errors_file(self._out)
        partial = path.with_name(path.name + ".partial")
        partial.unlink(missing_ok=True)
        permissions = self._out.stat().st_mode & 0o666  # who may read the answers may read the failures
        cursor = 0
        while failed := await self._store.failed_after(self._run, cursor, BATCH):
            rows = [self._shape.error_row(result) for result in failed]
            await asyncio.to_thread(_append_rows, partial, rows, permissions)
            cursor = failed[-1].seq
        if cursor:
            partial.replace(path)

    def _append(self, data: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(data)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreError(
                f"{self._out} cannot be written: {error.strerror}",
                hint="make room, then run the same command again: no answer is lost, they are in the store",
            ) from None
        self._offset += len(data)

    def _starts_with(self, head: bytes) -> bool:
        assert self._file is not None
        self._file.seek(0)
        return self._file.read(len(head)) == head


def _own(out: Path) -> IO[bytes]:
    """Open OUT for ourselves alone."""
    try:
        file = open_private(out, "r+b" if out.exists() else "w+b")
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}", hint="choose another file with -o") from None
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise ConflictError(
                f"another run writes {out} at this moment", hint="wait for it, or choose another -o"
            ) from None
    return file


def _append_rows(path: Path, rows: Iterable[bytes], permissions: int) -> None:
    with open_private(path, "ab", permissions=permissions) as file:
        file.writelines(rows)
