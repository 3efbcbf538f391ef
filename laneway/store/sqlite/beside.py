"""What stands beside a SQLite store's queue: questions to triage's classifier, flows, feedback, and uploaded files."""

from __future__ import annotations

from collections.abc import Sequence

from laneway.store.asking import AskedFigures, Judged, Labels, Question, Ruling
from laneway.store.feedback import Feedback
from laneway.store.filing import Upload
from laneway.store.flows import Arrived, Ask, Event, History, Node, TypeCount
from laneway.store.runs import Run
from laneway.store.sqlite import (
    asking,
    feedback,
    filing,
    flows,
    looking,
)
from laneway.store.sqlite.base import Base
from laneway.store.teams import OfTeam
from laneway.task import NewTask


class Beside(Base):
    """These verbs of the store."""

    # questions
    async def verdicts(self, digests: Sequence[bytes]) -> dict[bytes, Labels]:
        return self._read(lambda db: asking.verdicts(db, digests)) if digests else {}

    async def ask(
        self, run: Run, questions: Sequence[NewTask], about: Sequence[Sequence[int]], now: float, *, held: bool = False
    ) -> list[int]:
        return await self._writer.write(lambda tx: asking.ask(tx, run, questions, about, now, held))

    async def waiting_for(self, question: int) -> list[int]:
        return self._read(lambda db: asking.waiting_for(db, question))

    async def hear(self, question: int, rulings: Sequence[Ruling], now: float) -> int:
        return await self._writer.write(lambda tx: asking.hear(tx, question, rulings, now))

    async def drop_questions(self, run_id: int) -> int:
        return await self._writer.write(lambda tx: asking.drop_questions(tx, run_id))

    async def questions(self, task_id: int) -> list[Question]:
        return self._read(lambda db: asking.questions(db, task_id))

    async def note_judged(self, task_id: int, judged: Judged) -> None:
        await self._writer.write(lambda tx: asking.note_judged(tx, task_id, judged))

    async def judged(self, task_id: int) -> list[Judged]:
        return self._read(lambda db: asking.judged(db, task_id))

    async def asked(self, run_id: int | None = None, since: float = 0.0) -> AskedFigures:
        return await self._read_long(lambda db: asking.asked(db, run_id, since))

    # flows
    async def history(self, flow_id: int) -> History:
        return self._read(lambda db: flows.history(db, flow_id))

    async def arrived(self, asked: Sequence[Ask]) -> dict[int, Arrived]:
        return self._read(lambda db: flows.arrived(db, asked))

    async def open_flows(self) -> int:
        return self._read(flows.open_flows)

    async def send_event(self, flow_id: int, event: Event, now: float) -> bool:
        return await self._writer.write(lambda tx: flows.send_event(tx, flow_id, event))

    async def tree(self, flow_id: int) -> list[Node]:
        return await self.trees([flow_id])

    async def trees(self, flow_ids: Sequence[int], most: int | None = None) -> list[Node]:
        return await self._read_long(lambda db: looking.trees(db, flow_ids, most))

    async def chronicles(self, flow_ids: Sequence[int]) -> dict[int, History]:
        return await self._read_long(lambda db: looking.chronicles(db, flow_ids))

    async def flows(self, run_id: int, limit: int, *, ended: bool = False) -> list[int]:
        return await self._read_long(lambda db: looking.flows(db, run_id, limit, ended=ended))

    async def shape(self, run_id: int) -> list[TypeCount]:
        return await self._read_long(lambda db: looking.shape(db, run_id))

    async def last_flow(self, type_: str) -> tuple[int, int] | None:
        return await self._read_long(lambda db: looking.last_flow(db, type_))

    # feedback
    async def judge(self, words: Sequence[Feedback], now: float) -> int:
        return await self._writer.write(lambda tx: feedback.judge(tx, words, now))

    async def feedback(self, task_ids: Sequence[int]) -> list[Feedback]:
        return self._read(lambda db: feedback.feedback(db, task_ids))

    async def feedback_after(self, after: tuple[int, str], limit: int, since: float = 0.0) -> list[Feedback]:
        return await self._read_long(lambda db: feedback.after(db, after, limit, since))

    # files
    async def begin_upload(self, upload_id: str, now: float) -> None:
        await self._writer.write(lambda tx: filing.begin(tx, upload_id, now))

    async def add_piece(self, upload_id: str, number: int, content: bytes) -> None:
        await self._writer.write(lambda tx: filing.add(tx, upload_id, number, content))

    async def finish_upload(self, upload: Upload) -> None:
        await self._writer.write(lambda tx: filing.finish(tx, upload))

    async def find_upload(self, upload_id: str) -> Upload | None:
        return self._read(lambda db: filing.find(db, upload_id))

    async def uploads(self, team: OfTeam) -> list[Upload]:
        return self._read(lambda db: filing.of_team(db, team))

    async def piece(self, upload_id: str, number: int) -> bytes | None:
        return await self._read_long(lambda db: filing.piece(db, upload_id, number))

    async def drop_upload(self, upload_id: str) -> bool:
        return await self._writer.write(lambda tx: filing.drop(tx, upload_id))

    async def drop_uploads(self, before: float, *, unfinished: bool = False, dry: bool = False) -> int:
        found = await self._read_long(lambda db: filing.older(db, before, unfinished=unfinished))
        for upload_id in () if dry else found:
            await self.drop_upload(upload_id)
        return len(found)
