"""Structured answers through the Python API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from laneway import ConfigError, Laneway, TaskFailed, UsageError
from laneway.app.python.wanted import Wanted
from laneway.config.load import load
from laneway.providers.answers.checks import CheckBroken
from laneway.providers.answers.reading import Unusable
from laneway.providers.answers.validate import Answers
from laneway.simulator.process import SimulatorProcess

CONFIG = """
[accounts.main]
provider = "openai"
base_url = "{url}"
[models.small]
account = "main"
id = "gpt-4o-mini"
[defaults]
model = "small"
[types.review]
output = "schema.json"
[types.judged]
checks = [{{ pattern = "x" }}]
"""


class Verdict(BaseModel):
    risk: str
    score: float

    @field_validator("risk")
    @classmethod
    def known(cls, value: str) -> str:
        if value == "odd":
            raise ValueError("no such risk")
        return value


@dataclass
class Point:
    x: int


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(latency=0.01, malformed_rate=0.1, seed=9) as running:
        yield running


@pytest.fixture
async def lw(tmp_path: Path, simulator: SimulatorProcess) -> AsyncIterator[Laneway]:
    schema = {"type": "object", "properties": {"risk": {"type": "string"}}, "required": ["risk"]}
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    (tmp_path / "laneway.toml").write_text(CONFIG.format(url=simulator.url))
    made = Laneway(load(env={}, cwd=tmp_path), store=f"sqlite:///{tmp_path}/s.db", env={"OPENAI_API_KEY": "sk-x"})
    yield made
    await made.close()


def answered(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_an_instance_is_read_out_of_an_answer() -> None:
    wanted = Wanted(Answers(), Verdict, None)
    assert wanted.read(answered('Sure: {"risk": "low", "score": 1}')) == Verdict(risk="low", score=1.0)
    assert Wanted(Answers(), list[Point], None).read(answered('[{"x": 1}]')) == [Point(1)]
    assert Wanted(Answers(), None, None).read(answered("words")) == "words"
    with pytest.raises(Unusable, match="at risk: Value error, no such risk"):
        wanted.read(answered('{"risk": "odd", "score": 1}'))


def test_a_check_sees_what_is_to_be_returned() -> None:
    def low(verdict: Verdict) -> str | None:
        return None if verdict.risk == "low" else "only low will do"

    wanted = Wanted(Answers(), Verdict, low)
    assert wanted.read(answered('{"risk": "low", "score": 1}')).score == 1
    with pytest.raises(Unusable, match="only low will do"):
        wanted.read(answered('{"risk": "high", "score": 1}'))
    with pytest.raises(CheckBroken, match="AttributeError"):
        Wanted(Answers(), None, low).read(answered("words"))


@pytest.mark.parametrize("output", [{"type": "objekt"}, {"$ref": "http://x/y"}, 42])
def test_what_cannot_be_asked_for_is_a_fault_of_the_call(output: Any) -> None:
    with pytest.raises(UsageError, match="output: "):
        Wanted(Answers(), output, None)


async def test_a_call_is_made_again_until_pydantic_and_the_check_are_content(lw: Laneway) -> None:
    seen: list[str] = []

    def second_time(verdict: Verdict) -> None:
        seen.append(verdict.risk)
        assert len(seen) > 1, "not the first"

    @lw.task
    async def judge(text: str) -> Verdict:
        verdict: Verdict = await lw.call("small", f"judge {text}", output=Verdict, check=second_time)
        return verdict

    @lw.task
    async def never(text: str) -> str:
        said: str = await lw.call("small", text, check=lambda answer: "no answer will do")
        return said

    async with lw.worker():
        job, doomed = await lw.submit(judge, "this"), await lw.submit(never, "that")
        assert isinstance(await job.result(20), Verdict)
        with pytest.raises(TaskFailed, match="no answer will do"):
            await doomed.result(20)
    assert len(await lw.store.attempts(doomed.id)) == 1 + 6, "the task's own line, and six calls"


async def test_a_typed_prompt_task_returns_the_parsed_value(lw: Laneway) -> None:
    async with lw.worker():
        results = [await (await lw.submit("review", text=f"claim {i}")).result(20) for i in range(5)]
    assert all(isinstance(result["risk"], str) for result in results)


async def test_checks_of_a_python_task_are_refused_as_they_would_not_hold(lw: Laneway) -> None:
    @lw.task
    async def judged() -> None: ...

    with pytest.raises(ConfigError, match="judged is a Python task"):
        await lw.submit(judged)
