"""The Python API, with a real store and, where models are asked, the real simulator."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import laneway
from laneway import ConflictError, Laneway, NotFoundError, NoWorker, TaskFailed, UsageError
from laneway.config.models import Config
from laneway.simulator.process import SimulatorProcess
from laneway.task import Attempt, Outcome, State, WaitReason


class Verdict(BaseModel):
    risk: str
    score: float


@dataclass
class Point:
    x: int
    y: int


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    made = Laneway(Config(folder=tmp_path), store=f"sqlite:///{tmp_path}/s.db", env={})
    yield made
    await made.close()


async def test_async_and_sync_functions_become_tasks(lw: Laneway) -> None:
    @lw.task(lane="legal")
    async def double(n: int) -> int:
        return n * 2

    @lw.task
    def shout(text: str) -> str:
        assert threading.current_thread() is not threading.main_thread()
        return text.upper()

    assert await double(2) == 4, "called directly it is the function"
    async with lw.worker():
        first, second = await lw.submit(double, 21), await lw.submit(shout, text="hi")
        assert (await first.result(10), await second.result(10)) == (42, "HI")
    assert (await first.status()).lane == "legal"


async def test_arguments_and_results_keep_their_types(lw: Laneway) -> None:
    @lw.task
    async def judge(point: Point, strict: bool = False) -> Verdict:
        assert isinstance(point, Point)
        return Verdict(risk="high" if strict else "low", score=point.x / point.y)

    async with lw.worker():
        job = await lw.submit(judge, Point(1, 2), strict=True)
        assert await job.result(10) == Verdict(risk="high", score=0.5)


async def test_a_task_that_raises_fails_with_its_words_and_is_not_tried_again(lw: Laneway) -> None:
    runs: list[int] = []

    @lw.task
    async def bad() -> None:
        runs.append(1)
        raise ValueError("no such claim")

    async with lw.worker():
        job = await lw.submit(bad)
        with pytest.raises(TaskFailed, match="ValueError: no such claim") as caught:
            await job.result(10)
    assert runs == [1]
    assert "explain" in caught.value.hint


async def test_keys_make_submission_idempotent(lw: Laneway) -> None:
    @lw.task
    async def echo(n: int) -> int:
        return n

    first, second = await lw.submit(echo, 1, key="k"), await lw.submit(echo, 1, key="k")
    assert first.id == second.id
    with pytest.raises(ConflictError, match="used for other arguments"):
        await lw.submit(echo, 2, key="k")


async def test_a_job_is_found_again_by_id_or_key(lw: Laneway) -> None:
    @lw.task
    async def point(x: int) -> Point:
        return Point(x, x)

    job = await lw.submit(point, 3, key="three")
    async with lw.worker():
        assert await (await lw.job("three")).result(10) == Point(3, 3)
        assert await (await lw.job(job.id)).result(10) == Point(3, 3)
    assert await asyncio.to_thread(lambda: lw.sync.job("three").status()) == await job.status()
    with pytest.raises(NotFoundError):
        await lw.job("four")


async def test_without_a_worker_the_waiting_says_so_and_the_task_is_kept(lw: Laneway) -> None:
    @lw.task
    async def echo(n: int) -> int:
        return n

    job = await lw.submit(echo, 7)
    with pytest.raises(NoWorker, match="no worker serves this store"):
        await job.result(timeout=0.05)
    async with lw.worker():
        assert await job.result(10) == 7


async def test_map_keeps_the_order_and_on_request_the_errors(lw: Laneway) -> None:
    @lw.task
    async def odd(n: int) -> int:
        await asyncio.sleep(0.001 * (10 - n % 10))
        if n == 3:
            raise RuntimeError("three")
        return n

    async with lw.worker():
        results = [r async for r in lw.map(odd, range(30), on_error="keep")]
        assert [r for r in results if not isinstance(r, TaskFailed)] == [n for n in range(30) if n != 3]
        assert isinstance(results[3], TaskFailed)
        with pytest.raises(TaskFailed, match="three"):
            [r async for r in lw.map(odd, range(30))]


async def test_submitting_what_cannot_be(lw: Laneway) -> None:
    @lw.task
    async def echo(n: int) -> int:
        return n

    with pytest.raises(UsageError, match="missing a required argument"):
        await lw.submit(echo)
    with pytest.raises(UsageError, match=r"travel as JSON|serialize"):
        await lw.submit(echo, object())
    with pytest.raises(NotFoundError, match="no task is registered"):
        await lw.submit("unknown")
    with pytest.raises(UsageError, match="outside a task"):
        await lw.call("small", "hi")
    with pytest.raises(UsageError, match="key= names one task"):
        await lw.submit_many(echo, [1, 2], key="k")
    with pytest.raises(UsageError, match="key= names one task"):
        async for _ in lw.map(echo, [1, 2], key="k"):
            pass


async def test_a_delayed_task_waits_and_a_cancelled_one_says_so(lw: Laneway) -> None:
    @lw.task
    async def echo(n: int) -> int:
        return n

    job = await lw.submit(echo, 1, delay=3600)
    assert (await job.status()).state is State.WAITING
    await lw.store.cancel([job.id], lw.clock.now())
    with pytest.raises(laneway.TaskCancelled):
        await job.result(1)


async def test_another_process_work_is_seen(lw: Laneway, tmp_path: Path) -> None:
    other = Laneway(Config(folder=tmp_path), store=f"sqlite:///{tmp_path}/s.db", env={})

    @lw.task
    async def echo(n: int) -> int:
        return n

    other.task(name="echo")(echo.function)
    async with other.worker():
        job = await lw.submit(echo, 5)
        assert await job.result(10) == 5
    await other.close()


@pytest.fixture
def simulator() -> SimulatorProcess:  # type: ignore[misc]
    with SimulatorProcess(latency=0.01, output_tokens=8, error_rate=0.2, seed=4) as made:
        yield made


def with_models(tmp_path: Path, url: str) -> Laneway:
    config = Config.model_validate(
        {
            "accounts": {"main": {"provider": "openai", "base_url": url, "concurrency": 3}},
            "models": {"small": {"account": "main", "id": "gpt-4o-mini", "input_price": 1, "output_price": 1}},
            "folder": tmp_path,
        }
    )
    return Laneway(config, store=f"sqlite:///{tmp_path}/s.db", env={"OPENAI_API_KEY": "k"})


async def test_a_tasks_own_calls_are_admitted_retried_and_recorded(tmp_path: Path, simulator: SimulatorProcess) -> None:
    lw = with_models(tmp_path, simulator.url)

    @lw.task
    async def review(text: str) -> str:
        verdict = await lw.call("small", f"judge {text}", output=Verdict)
        words = await lw.call("small", [{"role": "user", "content": "why?"}], max_tokens=5)
        return f"{verdict.risk}: {words}"

    async with lw.worker():
        jobs = [await lw.submit(review, str(i)) for i in range(10)]
        for job in jobs:
            assert "simulated" in (await job.result(30)).lower()
    stats = simulator.stats()
    assert stats["max_in_flight"] <= 3
    ledger = [a for job in jobs for a in await lw.store.attempts(job.id) if a.call > 0]
    assert len(ledger) == stats["requests"] > 20
    assert sum(a.usage.output_tokens for a in ledger if a.usage) == stats["output_tokens"]
    await lw.close()


async def test_a_call_that_a_tasks_time_limit_breaks_off_is_closed_in_the_books(tmp_path: Path) -> None:
    with SimulatorProcess(latency=0.01, hang_nth=1) as simulator:
        lw = with_models(tmp_path, simulator.url)

        @lw.task(timeout=0.3)
        async def ask(text: str) -> str:
            return str(await lw.call("small", text))

        async with lw.worker():
            job = await lw.submit(ask, "hi")
            with pytest.raises(TaskFailed, match="within its timeout"):
                await job.result(10)
        call = next(a for a in await lw.store.attempts(job.id) if a.call > 0)
        assert (call.outcome, call.cost, call.usage) == (Outcome.CANCELLED, None, None)
        await lw.close()


async def test_a_call_whose_opening_is_broken_off_holds_no_money(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is written by then or will be, and nobody else would ever close it."""
    with SimulatorProcess(latency=0.01) as simulator:
        lw = with_models(tmp_path, simulator.url)
        record, opening = lw.store.record_call, asyncio.Event()

        async def slow(worker: str, attempt: Attempt, *more: Any) -> bool:
            written = asyncio.ensure_future(record(worker, attempt, *more))
            if attempt.outcome is None:
                opening.set()
                await asyncio.sleep(60)
            return await written

        monkeypatch.setattr(lw.store, "record_call", slow)

        @lw.task(timeout=0.3)
        async def ask(text: str) -> str:
            return str(await lw.call("small", text))

        async with lw.worker():
            job = await lw.submit(ask, "hi")
            with pytest.raises(TaskFailed, match="within its timeout"):
                await job.result(10)
        assert opening.is_set()
        call = next(a for a in await lw.store.attempts(job.id) if a.call > 0)
        assert (call.outcome, call.cost) == (Outcome.CANCELLED, 0.0)
        assert simulator.stats()["requests"] == 0
        await lw.close()


def test_a_time_limit_of_nothing_is_refused(tmp_path: Path) -> None:
    lw = with_models(tmp_path, "http://127.0.0.1:1/v1")
    for limit in (0, "0s", float("nan")):
        with pytest.raises(UsageError, match="no time"):
            lw.task(time_limit=limit)


async def test_a_python_tasks_time_limit_may_stand_in_the_config(tmp_path: Path) -> None:
    config = Config.model_validate({"types": {"ask": {"time_limit": "200ms", "budget_per_day": 5}}})
    lw = Laneway(config, store=f"sqlite:///{tmp_path}/s.db", env={})

    @lw.task
    async def ask(text: str) -> None:
        await asyncio.sleep(60)

    async with lw.worker():
        job = await lw.submit("ask", "hi")
        with pytest.raises(TaskFailed, match=r"within its time limit of 0.2 s"):
            await job.result(10)
    await lw.close()


async def test_a_task_ends_at_its_time_limit(tmp_path: Path) -> None:
    with SimulatorProcess(latency=0.01, hang_nth=1) as simulator:
        lw = with_models(tmp_path, simulator.url)

        @lw.task(time_limit="300ms", timeout=60)
        async def ask(text: str) -> str:
            return str(await lw.call("small", text))

        async with lw.worker():
            job = await lw.submit(ask, "hi")
            with pytest.raises(TaskFailed, match=r"not done within its time limit of 0.3 s: 1 call"):
                await job.result(10)
        own, call = await lw.store.attempts(job.id)
        assert (own.outcome, call.outcome) == (Outcome.TRANSIENT, Outcome.CANCELLED)
        assert await lw.store.check() == []
        await lw.close()


async def test_a_tasks_own_call_goes_to_another_account_when_one_is_refused(tmp_path: Path) -> None:
    with SimulatorProcess(latency=0.01, key=["good"]) as simulator:
        accounts = {
            name: {"provider": "openai", "base_url": simulator.url, "api_key_env": name.upper()}
            for name in ("bad", "good")
        }
        models = {
            "small": {"accounts": ["bad", "good"], "id": "gpt-4o-mini"},
            "lost": {"account": "bad", "id": "gpt-4o-mini"},
        }
        config = Config.model_validate({"accounts": accounts, "models": models, "folder": tmp_path})
        lw = Laneway(config, store=f"sqlite:///{tmp_path}/s.db", env={"BAD": "bad", "GOOD": "good"})

        began = asyncio.Event()

        @lw.task
        async def ask(model: str) -> str:
            began.set()
            return str(await lw.call(model, "hi"))

        async with asyncio.timeout(30), lw.worker():
            assert "simulated" in (await (await lw.submit(ask, "small")).result(10)).lower()
            began.clear()
            waits = await lw.submit(ask, "lost")
            await began.wait()
        assert (await waits.status()).state is State.READY, "the worker ended without it, and it is not lost"
        await lw.close()


async def test_a_prompt_type_is_submitted_by_its_name(tmp_path: Path, simulator: SimulatorProcess) -> None:
    (tmp_path / "p.j2").write_text("Say {{ text }}")
    lw = with_models(tmp_path, simulator.url)
    lw._config = lw.config.model_copy(
        update={"types": Config.model_validate({"types": {"say": {"prompt": "p.j2"}}}).types}
    )
    async with lw.worker():
        job = await lw.submit("say", text="hello")
        assert (await job.result(30)).startswith("Simulated answer")
    await lw.close()


def test_the_blocking_api(tmp_path: Path) -> None:
    lw = Laneway(Config(folder=tmp_path), store=f"sqlite:///{tmp_path}/s.db", env={})

    @lw.task
    async def double(n: int) -> int:
        return n * 2

    with lw.sync.worker():
        assert lw.sync.submit(double, 4).result(10) == 8
        assert list(lw.sync.map(double, range(5))) == [0, 2, 4, 6, 8]
    lw.sync.close()


def test_the_public_names() -> None:
    for name in laneway.__all__:
        assert getattr(laneway, name) is not None
    with pytest.raises(AttributeError):
        laneway.nothing  # noqa: B018


async def test_a_key_is_free_again_after_its_time_or_a_failure(lw: Laneway) -> None:
    @lw.task(dedupe_for="1h")
    async def once(n: int) -> int:
        if n < 0:
            raise ValueError("negative")
        return n

    async with lw.worker():
        first, second = await lw.submit(once, 1, key="k"), await lw.submit(once, 1, key="k")
        assert first.id == second.id
        bad = await lw.submit(once, -1, key="bad")
        with pytest.raises(TaskFailed):
            await bad.result(10)
        assert (await lw.submit(once, -1, key="bad")).id != bad.id
    with pytest.raises(UsageError, match="not a duration"):
        lw.task(dedupe_for="often")(lambda: None)


async def test_a_scheduled_task_starts_at_its_time_and_not_before(lw: Laneway) -> None:
    @lw.task
    async def when() -> float:
        return lw.clock.now()

    async with lw.worker():
        now = lw.clock.now()
        later = await lw.submit(when, at=datetime.fromtimestamp(now + 0.4, UTC))
        assert (await later.status()).wait_reason is WaitReason.SCHEDULED
        passed = await lw.submit(when, at=now - 60)
        assert await passed.result(10) < now + 0.4
        assert now + 0.4 <= await later.result(10) < now + 5
    with pytest.raises(UsageError, match="either at= or delay="):
        await lw.submit(when, at=now, delay=1)
