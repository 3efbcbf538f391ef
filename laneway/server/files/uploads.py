"""What clients send: into the store, in pieces of about a megabyte."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import BodyPartReader
from fastapi import Request

from laneway.server.caller import Caller
from laneway.server.envelopes import Refusal
from laneway.server.files.forms import NO_FORM, fields
from laneway.server.guard import LARGEST_FORM
from laneway.store.filing import Upload
from laneway.store.teams import ALL

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

LARGEST_FILE = 200_000_000  # bytes; OpenAI's bound for a batch's input
PIECE = 1_000_000  # bytes
BATCH = "batch"  # the purpose of what batches are made of
GIVEN_UP_S = 86_400.0  # after which an upload that never came to an end is dropped


class Uploads:
    def __init__(self, lw: Laneway) -> None:
        self._lw = lw

    async def sweep(self) -> None:
        """Drop what was broken off long ago."""
        await self._lw.store.drop_uploads(self._lw.clock.now() - GIVEN_UP_S, unfinished=True)

    async def take(self, request: Request, caller: Caller) -> Upload:
        """The file of a form; on disk when this returns. Raises Refusal."""
        upload_id = f"file-{secrets.token_hex(12)}"
        try:
            upload = await self._read(request, upload_id, caller)
        except BaseException:
            await self._lw.store.drop_upload(upload_id)
            raise
        await self._lw.store.finish_upload(upload)
        return upload

    async def _read(self, request: Request, upload_id: str, caller: Caller) -> Upload:
        purpose, name, size = "", "", None
        async for field in fields(request, LARGEST_FORM):
            if field.name == "purpose":
                purpose = (await field.read_chunk(1000)).decode("utf-8", "replace")
            elif field.name == "file" and size is None:
                name = field.filename or "upload"
                size = await self._keep(upload_id, field)
        if size is None:
            raise Refusal(400, NO_FORM, param="file")
        if purpose != BATCH:
            raise Refusal(400, f"purpose is {purpose!r}; files are kept for batches here: batch", param="purpose")
        return Upload(upload_id, name[:500], purpose, size, self._lw.clock.now(), caller.team)

    async def find(self, upload_id: str, caller: Caller) -> Upload:
        """Raises Refusal."""
        upload = await self._lw.store.find_upload(upload_id)
        if upload is None or not caller.may_see(upload.team):
            raise no_file(upload_id)
        return upload

    async def all_of(self, caller: Caller) -> list[Upload]:
        """The newest first."""
        return await self._lw.store.uploads(ALL if caller.sees_all else caller.team)

    async def drop(self, upload_id: str, caller: Caller) -> None:
        """Raises Refusal."""
        await self.find(upload_id, caller)
        await self._lw.store.drop_upload(upload_id)

    async def content(self, upload_id: str) -> AsyncIterator[bytes]:
        number = 0
        while (piece := await self._lw.store.piece(upload_id, number)) is not None:
            yield piece
            number += 1

    async def lines(self, upload_id: str) -> AsyncIterator[bytes]:
        """Without their ends."""
        rest = b""
        async for piece in self.content(upload_id):
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line
        if rest:
            yield rest

    async def _keep(self, upload_id: str, field: BodyPartReader) -> int:
        """Returns the size in bytes."""
        store = self._lw.store
        await store.begin_upload(upload_id, self._lw.clock.now())
        gathered, number, size = bytearray(), 0, 0
        while chunk := await field.read_chunk(2**16):
            gathered += chunk
            size += len(chunk)
            if size > LARGEST_FILE:
                raise Refusal(413, f"the file is larger than {LARGEST_FILE:,} bytes", code="request_too_large")
            if len(gathered) >= PIECE:
                await store.add_piece(upload_id, number, bytes(gathered))
                number, gathered = number + 1, bytearray()
        if gathered:
            await store.add_piece(upload_id, number, bytes(gathered))
        return size


def no_file(file_id: str) -> Refusal:
    return Refusal(404, f"there is no file {file_id!r}", param="id")
