"""``/v1/batches``, as OpenAI has it (API reference, "Batch").

What differs: the input is checked before the answer, so that a batch that cannot be done is refused at once; and the
``completion_window`` is a goal, after which a batch goes on.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from laneway.errors import LanewayError
from laneway.intake.batch.lines import URLS
from laneway.server.batches.book import Batch, Batches
from laneway.server.batches.outputs import Output
from laneway.server.bodies import json_object
from laneway.server.caller import Asking
from laneway.server.envelopes import Refusal, of_error
from laneway.server.files.uploads import Uploads
from laneway.server.pages import page
from laneway.server.wishes import wishes_of
from laneway.task import State

WINDOW_S = 86_400.0
WINDOW = "24h"
LARGEST = 1_000_000  # bytes of a request


def batches_router(batches: Batches, uploads: Uploads) -> APIRouter:
    router = APIRouter(prefix="/v1/batches")

    @router.post("")
    async def create(request: Request, caller: Asking) -> dict[str, Any]:
        body = await json_object(request, LARGEST)
        metadata = body.get("metadata") or {}
        file_id, endpoint = body.get("input_file_id"), body.get("endpoint")
        if not isinstance(file_id, str):
            raise Refusal(400, "input_file_id is missing", param="input_file_id")
        if not isinstance(endpoint, str) or endpoint not in URLS:
            raise Refusal(400, f"endpoint is {endpoint!r}; one of {', '.join(URLS)}", param="endpoint")
        if body.get("completion_window", WINDOW) != WINDOW:
            raise Refusal(400, f"completion_window is always {WINDOW}", param="completion_window")
        if not isinstance(metadata, dict):
            raise Refusal(400, "metadata is not an object", param="metadata")
        try:
            wishes = wishes_of(request.headers, metadata)
        except LanewayError as error:
            raise of_error(error) from error
        upload = await uploads.find(file_id, caller)
        facts = {"endpoint": endpoint, "input_file_id": file_id, "metadata": metadata or None}
        lines = uploads.lines(file_id)
        return view(await batches.create(URLS[endpoint], lines, facts, wishes, caller, upload.name))

    @router.get("")
    async def listed(caller: Asking, limit: int = 20, after: str | None = None) -> dict[str, Any]:
        runs, this = page(await batches.all_of(caller), lambda run: run.identity, limit, after)
        return {"object": "list", "data": [view(await batches.look(run)) for run in runs], **this.ends}

    @router.get("/{batch_id}")
    async def retrieve(batch_id: str, caller: Asking) -> dict[str, Any]:
        return view(await batches.find(batch_id, caller))

    @router.post("/{batch_id}/cancel")
    async def cancel(batch_id: str, caller: Asking) -> dict[str, Any]:
        return view(await batches.cancel(await batches.find(batch_id, caller)))

    return router


def view(batch: Batch) -> dict[str, Any]:
    began, ended = int(batch.run.created_at), batch.ended_at and int(batch.ended_at)
    cancelled = batch.cancelling_at is not None and batch.counts[State.CANCELLED] > 0
    going = "in_progress" if batch.cancelling_at is None else "cancelling"
    status = going if not batch.ended else "cancelled" if cancelled else "completed"
    answered = batch.ended and batch.counts[State.SUCCEEDED] > 0
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.facts["endpoint"],
        "errors": None,
        "input_file_id": batch.facts["input_file_id"],
        "completion_window": WINDOW,
        "status": status,
        "output_file_id": Output(batch, "output").id if answered else None,
        "error_file_id": Output(batch, "errors").id if batch.ended and batch.failed else None,
        "created_at": began,
        "in_progress_at": began,
        "expires_at": int(batch.run.created_at + WINDOW_S),
        "finalizing_at": ended,
        "completed_at": ended if status == "completed" else None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": batch.cancelling_at and int(batch.cancelling_at),
        "cancelled_at": ended if status == "cancelled" else None,
        "request_counts": {
            "total": batch.total,
            "completed": batch.counts[State.SUCCEEDED],
            "failed": batch.counts[State.FAILED],
        },
        "metadata": batch.facts["metadata"],
    }
