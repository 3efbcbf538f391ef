"""``/v1/files``, as OpenAI has it: inputs of batches, and their results."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from laneway.server.batches.outputs import Output, Outputs
from laneway.server.caller import Asking
from laneway.server.files.uploads import Uploads
from laneway.server.pages import page
from laneway.store.filing import Upload


def files_router(uploads: Uploads, outputs: Outputs) -> APIRouter:
    router = APIRouter(prefix="/v1/files")

    @router.post("")
    async def upload(request: Request, caller: Asking) -> dict[str, Any]:
        return _of_upload(await uploads.take(request, caller))

    @router.get("")
    async def files(
        caller: Asking, limit: int = 1000, after: str | None = None, purpose: str | None = None, order: str = "desc"
    ) -> dict[str, Any]:
        found = [one for one in await uploads.all_of(caller) if purpose in (None, one.purpose)]
        found = found[::-1] if order == "asc" else found
        shown, this = page(found, lambda one: one.id, limit, after)
        return {"object": "list", "data": [_of_upload(one) for one in shown], **this.ends}

    @router.get("/{file_id}")
    async def file(file_id: str, caller: Asking) -> dict[str, Any]:
        output = await outputs.find(file_id, caller)
        if output is not None:
            return _of_output(output, await outputs.size(output))
        return _of_upload(await uploads.find(file_id, caller))

    @router.get("/{file_id}/content")
    async def content(file_id: str, caller: Asking) -> Response:
        output = await outputs.find(file_id, caller)
        if output is not None:
            return StreamingResponse(outputs.content(output), media_type="application/jsonl")
        kept = await uploads.find(file_id, caller)
        return StreamingResponse(uploads.content(kept.id), media_type="application/octet-stream")

    @router.delete("/{file_id}")
    async def delete(file_id: str, caller: Asking) -> dict[str, Any]:
        await uploads.drop(file_id, caller)
        return {"id": file_id, "object": "file", "deleted": True}

    return router


def _of_upload(upload: Upload) -> dict[str, Any]:
    return _file(upload.id, upload.name, upload.purpose, upload.size, upload.created_at)


def _of_output(output: Output, size: int) -> dict[str, Any]:
    name = f"{output.batch.id}_{output.kind}.jsonl"
    return _file(output.id, name, "batch_output", size, output.batch.ended_at or 0.0)


def _file(id_: str, name: str, purpose: str, size: int, created_at: float) -> dict[str, Any]:
    return {
        "id": id_,
        "object": "file",
        "bytes": size,
        "created_at": int(created_at),
        "expires_at": None,
        "filename": name,
        "purpose": purpose,
        "status": "processed",
        "status_details": None,
    }
