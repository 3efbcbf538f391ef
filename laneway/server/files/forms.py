"""Reading a form with a file in it as it comes, a piece at a time. The parser is aiohttp's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from aiohttp import BodyPartReader, MultipartReader, StreamReader
from aiohttp.base_protocol import BaseProtocol
from fastapi import Request

from laneway.server.bodies import pieces
from laneway.server.envelopes import Refusal

BUFFER = 2**18  # bytes
NO_FORM = "send multipart/form-data with the fields purpose and file"


class _Tap(BaseProtocol):
    """Lets the buffer say when it is full."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())
        self.open = asyncio.Event()
        self.open.set()

    @property
    def connected(self) -> bool:
        return True

    def pause_reading(self) -> None:
        self.open.clear()

    def resume_reading(self, resume_parser: bool = True) -> None:
        self.open.set()


async def fields(request: Request, largest: int) -> AsyncIterator[BodyPartReader]:
    """Each field of the form. What of it is not read is passed over. Raises Refusal."""
    if not request.headers.get("content-type", "").casefold().startswith("multipart/form-data"):
        raise Refusal(415, NO_FORM)
    tap = _Tap()
    content = StreamReader(tap, BUFFER, loop=asyncio.get_running_loop())
    feeding = asyncio.ensure_future(_feed(request, largest, tap, content))
    try:
        async for field in MultipartReader(request.headers, content):
            if not isinstance(field, BodyPartReader):
                raise Refusal(400, NO_FORM)
            yield field
    except (ValueError, AssertionError) as error:
        raise Refusal(400, f"this is no form: {error}") from error
    finally:
        feeding.cancel()


async def _feed(request: Request, largest: int, tap: _Tap, content: StreamReader) -> None:
    try:
        async for piece in pieces(request, largest):
            await tap.open.wait()
            content.feed_data(piece)
    except Exception as error:  # noqa: BLE001 - whoever reads it raises it
        content.set_exception(error)
    else:
        content.feed_eof()
