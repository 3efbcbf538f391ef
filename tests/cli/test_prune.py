"""``keep`` and ``laneway prune``: prompts and answers leave the store in time, and nothing is paid or lost by it."""

from __future__ import annotations

from collections.abc import Callable

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
WORD = "c4nary"


def batch(desk: Desk, name: str, n: int) -> None:
    desk.batch(name, n, metadata={"word": WORD})


def stored(desk: Desk) -> bytes:
    """All bytes of the store's files."""
    return b"".join(file.read_bytes() for file in (desk.folder / ".laneway").rglob("*") if file.is_file())


def test_what_is_pruned_is_gone_and_still_paid_for(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    batch(desk, "tasks.jsonl", 20)
    assert desk.run("run", "tasks.jsonl").code == 0
    assert WORD.encode() in stored(desk)
    out = (desk.folder / "tasks.results.jsonl").read_bytes()
    assert desk.run("prune", "--json").json["error"]["kind"] == "usage"
    assert desk.run("prune", "--older-than", "1h", "--json").json["tasks"] == 0
    assert desk.run("prune", "--older-than", "0s", "--dry-run", "--json").json["tasks"] == 20
    assert WORD.encode() in stored(desk)
    done = desk.run("prune", "--older-than", "0s")
    assert done.out.startswith("20 tasks lost their content")
    assert WORD.encode() not in stored(desk)
    assert b"Simulated answer" not in stored(desk)

    again = desk.run("run", "tasks.jsonl", "--json")
    assert again.code == 0
    assert again.json["calls"] == 0
    assert again.json["tasks"]["succeeded"] == 20
    assert (desk.folder / "tasks.results.jsonl").read_bytes() == out
    assert simulator.stats()["requests"] == 20
    assert "content: pruned" in desk.run("explain", "t3").out
    printed = desk.run("results", "1")
    assert (printed.code, printed.out) == (1, "")
    assert printed.err == "20 answers are not among them: they were pruned from the store\n"


def test_a_results_file_that_needs_pruned_answers_is_left_as_it_is(desk: Desk, simulate: Simulate) -> None:
    simulator = simulate()
    batch(desk, "tasks.jsonl", 5)
    assert desk.run("run", "tasks.jsonl").code == 0
    desk.run("prune", "--older-than", "0s")
    out = desk.folder / "tasks.results.jsonl"
    before = out.read_bytes()

    batch(desk, "tasks.jsonl", 4)  # one has left: the file would have to be written without it
    refused = desk.run("run", "tasks.jsonl", "--json")
    assert refused.code == 2
    assert "the answers of 4 finished tasks were pruned" in refused.json["error"]["message"]
    assert "--fresh" in refused.json["error"]["hint"]
    assert out.read_bytes() == before

    batch(desk, "tasks.jsonl", 6)  # one more is no difficulty
    assert desk.run("run", "tasks.jsonl", "--json").json["calls"] == 1
    assert out.read_bytes().startswith(before)
    assert len(desk.rows("tasks.results.jsonl")) == 6

    out.unlink()
    refused = desk.run("run", "tasks.jsonl")
    assert refused.code == 2
    assert "would have to be written anew" in refused.err
    assert not out.exists()
    assert simulator.stats()["requests"] == 6
    assert desk.run("run", "tasks.jsonl", "--fresh", "--json").json["calls"] == 6
    assert len(desk.rows("tasks.results.jsonl")) == 6


def test_a_run_takes_away_what_was_kept_long_enough(desk: Desk, simulate: Simulate) -> None:
    simulate()
    batch(desk, "first.jsonl", 50)
    assert desk.run("run", "first.jsonl").code == 0
    simulate(latency=0.5)
    desk.write("laneway.toml", 'keep = "1ms"\n')
    desk.env["LANEWAY_STORE"] = f"sqlite:///{desk.folder}/.laneway/laneway.db"
    desk.batch("second.jsonl", 1)
    done = desk.run("run", "second.jsonl", "-v")
    assert done.code == 0
    assert "took away the content of 50 task(s)" in done.err
    assert WORD.encode() not in stored(desk)
    assert len(desk.rows("second.results.jsonl")) == 1


def test_the_result_of_a_pruned_task_is_not_null(desk: Desk) -> None:
    program = """
import asyncio
from laneway import Laneway
from laneway.errors import NotFoundError
lw = Laneway()

@lw.task
def double(n: int) -> int:
    return n * 2

async def main():
    async with lw.worker():
        job = await lw.submit(double, 4, key="four")
        print(await job.result(20))
        await lw.store.prune(lw.clock.now() + 1)
        try:
            await (await lw.submit(double, 4, key="four")).result(20)
        except NotFoundError as error:
            print(error)
    await lw.close()

asyncio.run(main())
"""
    done = desk.python("-c", program)
    assert done.out == "8\nthe result of task 1 was pruned from the store\n", done.err
