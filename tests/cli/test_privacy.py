"""Who may read what a run leaves behind, and what commands show of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from laneway.simulator.process import SimulatorProcess
from tests.cli.echo import WAYS, echo_provider
from tests.cli.working import at_work
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_everything_with_content_is_its_owners_alone(desk: Desk, simulate: Simulate) -> None:
    simulate(error_rate=1.0)
    desk.write("laneway.toml", "[retry]\nmax_attempts = 1\n")
    desk.batch("tasks.jsonl", 3).write_text((desk.folder / "tasks.jsonl").read_text() + "broken\n")
    given = {file.name for file in desk.folder.iterdir()}
    with at_work(desk):  # it has the store open, so its files are there
        assert desk.run("run", "tasks.jsonl", "--on-bad-input", "skip").code == 1
        made = [file for file in desk.folder.rglob("*") if file.name not in given]
        names = {file.name for file in made}
        assert names >= {"laneway.db", "laneway.db-wal", "laneway.db-shm", "laneway.db-turn", "tasks.bad.jsonl"}
        assert names >= {"tasks.results.jsonl", "tasks.results.jsonl.errors.jsonl"}
        assert {file.name: oct(mode(file)) for file in made if file.is_file()} == {
            file.name: "0o600" for file in made if file.is_file()
        }
        assert {oct(mode(file)) for file in made if file.is_dir()} == {"0o700"}


def test_a_results_file_that_is_there_keeps_its_mode(desk: Desk, simulate: Simulate) -> None:
    simulate(error_rate=1.0)
    desk.write("laneway.toml", "[retry]\nmax_attempts = 1\n")
    desk.batch("tasks.jsonl", 1)
    desk.write("out.jsonl", "").chmod(0o644)
    assert desk.run("run", "tasks.jsonl", "-o", "out.jsonl").code == 1
    assert mode(desk.folder / "out.jsonl") == 0o644
    assert mode(desk.folder / "out.jsonl.errors.jsonl") == 0o644


def test_a_store_that_others_can_read_is_pointed_out(desk: Desk) -> None:
    assert desk.run("status").err == ""
    (desk.folder / ".laneway" / "laneway.db").chmod(0o644)
    assert "is open to other users of this machine; `chmod 600` closes it" in desk.run("status").err


HIDING = """
hide_content = {hide}
[accounts.main]
provider = "openai"
base_url = "{url}"
[models.small]
account = "main"
id = "gpt-4o-mini"
[types.check]
prompt = "check.j2"
output = "check.json"
[retry]
max_attempts = 2
delays = ["1ms"]
"""
SCHEMA = {"type": "object", "properties": {"risk": {"enum": ["low"]}}, "required": ["risk"]}
WORD = "diary-7731"


def work_hiding(desk: Desk, url: str, hide: str) -> None:
    desk.env.pop("OPENAI_BASE_URL", None)
    desk.write("laneway.toml", HIDING.format(url=url, hide=hide))
    desk.write("check.j2", "{{ text }} {{ n + 1 }}")
    desk.write("check.json", json.dumps(SCHEMA))
    rows: list[dict[str, object]] = [{"id": f"t{i}", "text": f"{WORD} {way}", "n": 1} for i, way in enumerate(WAYS)]
    rows.append({"id": "faulty", "text": WORD, "n": WORD})
    desk.write("records.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def shown(desk: Desk) -> str:
    """All that commands say of these tasks, and the errors that they write."""
    skip = ("--on-bad-input", "skip", "-vv")
    said = [
        desk.run("run", "records.jsonl", "--type", "check", *skip),
        desk.run("run", "records.jsonl", "--prompt", "check.j2", "-o", "plain.jsonl", *skip, "--json"),
        desk.run("run", "records.jsonl", "--type", "check", "-o", "stopped.jsonl"),
        *(desk.run("explain", f"t{i}", "--run", "1") for i in range(len(WAYS))),
        desk.run("explain", "t0", "--run", "2"),
        desk.run("explain", "t1", "--json"),
        desk.run("status", "--json"),
    ]
    errors = [str(row["error"]) for row in desk.rows("records.results.jsonl.errors.jsonl")]
    return "".join(f"{done.out}{done.err}" for done in said) + "".join(errors)


def test_content_is_shown_nowhere_where_it_is_hidden(desk: Desk) -> None:
    with echo_provider() as url:
        work_hiding(desk, url, "true")
        said = shown(desk)
    assert WORD not in said
    assert "http_502" in said, "how it failed is still told"
    assert "[hidden] (HTTP 400)" in said
    assert "[hidden], since hide_content = true" in said
    assert "TypeError: [hidden]" in said, "why the eighth line was skipped"
    assert WORD in (desk.folder / "plain.jsonl").read_text(), "the results are what was asked for"


def test_what_was_kept_before_is_hidden_too(desk: Desk) -> None:
    with echo_provider() as url:
        work_hiding(desk, url, "false")
        assert WORD in shown(desk)
        work_hiding(desk, url, "true")
    later = [desk.run("explain", f"t{i}", "--run", "1").out for i in range(len(WAYS))]
    assert WORD not in "".join(later)
    assert "http_502: [hidden] (HTTP 502)" in "".join(later)


def test_the_model_is_told_what_was_wrong_all_the_same(desk: Desk) -> None:
    with echo_provider() as url:
        work_hiding(desk, url, "true")
        desk.write("records.jsonl", json.dumps({"id": "t", "text": f"{WORD} not as asked for", "n": 1}) + "\n")
        assert desk.run("run", "records.jsonl", "--type", "check").code == 1
    store = apsw.Connection(str(desk.folder / ".laneway" / "laneway.db"))
    ((complaint,),) = store.execute("SELECT complaint FROM payload")
    assert WORD in complaint
    errors = [error for (error,) in store.execute("SELECT error FROM attempt UNION ALL SELECT error FROM result")]
    store.close()
    assert len(errors) == 3
    assert not any(WORD in error for error in errors)


def test_a_task_that_raises_tells_only_what_it_raised(desk: Desk) -> None:
    desk.write("laneway.toml", "hide_content = true\n")
    program = f"""
import asyncio
from laneway import Laneway
from laneway.logs import configure, hide_content
configure(2)
hide_content()
lw = Laneway()

@lw.task
async def broken(words: str) -> None:
    raise ValueError(words)

async def main():
    async with lw.worker():
        try:
            await (await lw.submit(broken, "{WORD}", key="k")).result(20)
        except Exception as error:
            print(error, error.failure)
    await lw.close()

asyncio.run(main())
"""
    done = desk.python("-c", program)
    assert "k failed: [hidden] (ValueError)" in done.out, done.err
    assert "ValueError: [hidden]" in done.err
    assert WORD not in done.out + done.err.replace(program, "")
