"""The result files of OpenAI's batches. They are not kept: they are read out of the results when somebody asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from laneway.server.batches.book import Batch, Batches
from laneway.server.caller import Caller
from laneway.task import State

KINDS = {"output": frozenset({State.SUCCEEDED}), "errors": frozenset({State.FAILED, State.CANCELLED})}


class Output(NamedTuple):
    batch: Batch
    kind: str  # "output" or "errors"

    @property
    def id(self) -> str:
        return f"file-{self.batch.id}-{self.kind}"


class Outputs:
    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    async def find(self, file_id: str, caller: Caller) -> Output | None:
        """None where the name is none of a result file's. Raises Refusal when there is no such batch, it has not ended,
        or its answers were pruned."""
        batch_id, _, kind = file_id.removeprefix("file-").rpartition("-")
        if kind not in KINDS or not batch_id.startswith("batch_"):
            return None
        output = Output(await self._batches.find(batch_id, caller), kind)
        await self._batches.check_results(output.batch)
        return output

    async def size(self, output: Output) -> int:
        """Bytes."""
        return sum([len(rows) async for rows in self.content(output)])

    def content(self, output: Output) -> AsyncIterator[bytes]:
        return self._batches.rows(output.batch, KINDS[output.kind])
