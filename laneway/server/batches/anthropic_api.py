"""``/v1/messages/batches``, as Anthropic has it (API reference, "Message Batches").

What differs: all requests are checked before the answer, so that a batch that cannot be done is refused at once; and
``expires_at`` is a goal, after which a batch goes on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from laneway.errors import LanewayError
from laneway.server.batches.book import Batch, Batches
from laneway.server.bodies import json_object
from laneway.server.caller import Asking
from laneway.server.envelopes import Refusal, of_error
from laneway.server.pages import page
from laneway.server.wishes import wishes_of
from laneway.task import State, Wire

WINDOW_S = 86_400.0
ENDED = frozenset(state for state in State if state.ended)


def message_batches_router(batches: Batches, largest: int) -> APIRouter:
    """``largest``: bytes of a request."""
    router = APIRouter(prefix="/v1/messages/batches")

    @router.post("")
    async def create(request: Request, caller: Asking) -> dict[str, Any]:
        asked = (await json_object(request, largest)).get("requests")
        if not isinstance(asked, list) or not asked:
            raise Refusal(400, "requests is missing or empty")
        try:
            wishes = wishes_of(request.headers, {})
        except LanewayError as error:
            raise of_error(error) from error
        batch = await batches.create(Wire.MESSAGES, _lines(asked), {}, wishes, caller, "requests")
        return _view(batch, request)

    @router.get("")
    async def listed(
        request: Request, caller: Asking, limit: int = 20, after_id: str | None = None, before_id: str | None = None
    ) -> dict[str, Any]:
        runs, this = page(await batches.all_of(caller), lambda run: run.identity, limit, after_id, before_id)
        return {"data": [_view(await batches.look(run), request) for run in runs], **this.ends}

    @router.get("/{batch_id}")
    async def retrieve(request: Request, batch_id: str, caller: Asking) -> dict[str, Any]:
        return _view(await batches.find(batch_id, caller), request)

    @router.post("/{batch_id}/cancel")
    async def cancel(request: Request, batch_id: str, caller: Asking) -> dict[str, Any]:
        return _view(await batches.cancel(await batches.find(batch_id, caller)), request)

    @router.delete("/{batch_id}")
    async def delete(batch_id: str, caller: Asking) -> dict[str, Any]:
        await batches.delete(await batches.find(batch_id, caller))
        return {"id": batch_id, "type": "message_batch_deleted"}

    @router.get("/{batch_id}/results")
    async def results(batch_id: str, caller: Asking) -> Response:
        batch = await batches.find(batch_id, caller)
        await batches.check_results(batch)
        return StreamingResponse(batches.rows(batch, ENDED), media_type="application/x-jsonl")

    return router


async def _lines(requests: list[Any]) -> AsyncIterator[bytes]:
    for one in requests:
        yield orjson.dumps({**one, "params": one.get("params")} if isinstance(one, dict) else one)


def _view(batch: Batch, request: Request) -> dict[str, Any]:
    going = "in_progress" if batch.cancelling_at is None else "canceling"
    counts = batch.counts
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else going,
        "request_counts": {
            "processing": batch.total - sum(counts[state] for state in ENDED),
            "succeeded": counts[State.SUCCEEDED],
            "errored": counts[State.FAILED],
            "canceled": counts[State.CANCELLED],
            "expired": 0,
        },
        "created_at": _time(batch.run.created_at),
        "expires_at": _time(batch.run.created_at + WINDOW_S),
        "ended_at": None if batch.ended_at is None else _time(batch.ended_at),
        "cancel_initiated_at": None if batch.cancelling_at is None else _time(batch.cancelling_at),
        "archived_at": None,
        "results_url": f"{request.base_url}v1/messages/batches/{batch.id}/results" if batch.ended else None,
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
