"""A worker's judgement of answers: whatever keeps it from one, the answer is kept."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import orjson
import pytest

from laneway.app.cascade import AnswerJudge
from laneway.config.models import Config
from laneway.learning.answers import train
from laneway.task import Claimed, Route, Spec, Urgency, Wire
from tests.triage.learned.test_answers import table

SPEC = Spec("sum", Wire.CHAT, escalate=True)


def claimed(model: str = "small", fallbacks: tuple[str, ...] = ("strong",), spec: Spec = SPEC) -> Claimed:
    body = orjson.dumps({"messages": [{"role": "user", "content": "Add up 3 parts of 9."}]})
    route = Route("general", Urgency.STANDARD, "small", fallbacks)
    numbers: dict[str, Any] = dict.fromkeys(("id", "run_id", "cell_id", "fence", "attempts", "refusals", "losses"), 1)
    times: dict[str, Any] = {"submitted_at": 0.0, "claimed_at": 0.0, "begun_at": 0.0, "deadline": None}
    place: dict[str, Any] = {"lane": "general", "urgency": Urgency.STANDARD, "account": "main", "route": route}
    size: dict[str, Any] = {"input_tokens": 1, "output_tokens": 1}
    return Claimed(model=model, spec=spec, body=body, key="a", complaint=None, **numbers, **times, **place, **size)


def said(text: str) -> bytes:
    return orjson.dumps({"choices": [{"message": {"content": text}}]})


WEAK = said("We add the 3 parts and then")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    folder = tmp_path_factory.mktemp("project")
    train(table()).write(folder / "triage" / "answers.npz")
    return Config.model_validate({"triage": {"answers": "triage/answers.npz"}, "folder": folder})


async def test_a_weak_answer_is_told_with_the_file_that_says_so(config: Config) -> None:
    judge = AnswerJudge(config)
    words = await judge(claimed(), WEAK)
    assert words is not None
    assert "where strong would be at" in words
    assert "add the 3 parts" not in words
    assert await judge(claimed(), said("We add the 3 parts. The answer is 9.")) is None


async def test_what_it_knows_nothing_of_is_kept(config: Config) -> None:
    judge = AnswerJudge(config)
    assert await judge(claimed(fallbacks=()), WEAK) is None
    assert await judge(claimed(fallbacks=("other",)), WEAK) is None
    assert await judge(claimed(spec=SPEC._replace(type="letter")), WEAK) is None


@pytest.mark.parametrize("there", ["not named", "missing", "broken"])
async def test_a_worker_without_the_file_keeps_answers_and_says_so_once(
    there: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    named = {} if there == "not named" else {"triage": {"answers": f"{there}.npz"}}
    judge = AnswerJudge(Config.model_validate({**named, "folder": tmp_path}))
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        assert await judge(claimed(), WEAK) is None
    assert len(caplog.records) == 1
    assert "answers are kept as they come" in caplog.text


async def test_an_answer_of_another_shape_is_kept_and_told_once(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    judge = AnswerJudge(config)
    for _ in range(3):
        assert await judge(claimed(), b"not json") is None
    assert len(caplog.records) == 1
    assert await judge(claimed(), WEAK) is not None, "others are judged as before"
