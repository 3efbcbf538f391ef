"""Is an answer probably good enough? Asked by a worker where the task's route has a further model, of the file under
``[triage] answers``. Whatever keeps it from saying, the answer is kept: paid work is worth more than a judgement.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from laneway.errors import LanewayError
from laneway.providers.chat import answer_text, asked_text

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.task import Claimed
    from laneway.triage.learned.answers import AnswerModel

log = logging.getLogger(__name__)


class AnswerJudge:
    """Loads its file when first asked, and says once why it cannot judge."""

    def __init__(self, config: Config) -> None:
        answers = config.triage.answers
        self._path = config.folder / answers if answers is not None else None
        self._model: AnswerModel | None = None
        self._loading = asyncio.Lock()
        self._ready = False
        self._failed = False

    async def __call__(self, task: Claimed, output: bytes) -> str | None:
        """What speaks against an answer; None when it will probably do, or nobody can say."""
        if not self._ready:
            await self._load()
        further = task.route.after(task.model)
        if self._model is None or further is None:
            return None
        try:
            prompt, answer = asked_text(task.spec.wire, task.body), answer_text(task.spec.wire, output)
            verdict = self._model.judge(task.model, further, task.spec.type, prompt, answer)
        except Exception:  # a file from somebody else, an answer of another shape: neither must cost the task
            if not self._failed:
                log.exception("task %d: its answer could not be judged, and is kept; so are others like it", task.id)
            self._failed = True
            return None
        if verdict is None or not verdict.goes_on:
            return None
        return (
            f"good at {verdict.good:.0%}, where {further} would be at {verdict.better:.0%}"
            f" (answers {self._model.id}; more than {verdict.margin:.0%} between them goes on)"
        )

    async def _load(self) -> None:
        async with self._loading:
            if self._ready:
                return
            try:
                self._model = await asyncio.to_thread(_read, self._path)
            except LanewayError as error:
                log.warning("answers are kept as they come, for none can be judged here: %s", error.message)
            self._ready = True


def _read(path: Path | None) -> AnswerModel:
    if path is None:
        raise LanewayError("this worker's config names no file under [triage] answers")
    try:
        from laneway.triage.learned.answers import AnswerModel
    except ImportError as error:
        raise LanewayError(f"numpy is not there ({error}); pip install 'laneway[learn]'") from None
    return AnswerModel.load(path)
