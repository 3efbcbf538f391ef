"""The canary: a key that must turn up nowhere, however it is given and whoever repeats it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.echo import WAYS, echo_provider
from tests.conftest import Desk

CANARY = 'C4nary"+/=4711tail'  # shaped like no provider's key, and written differently in JSON and in URLs
PIECE = "4711tail"  # of it, in whichever way it is written
ACCOUNTS = {
    "well-known variable": "",
    "own variable": 'api_key_env = "SHOP_KEY"',
    "key file": 'api_key_file = "../keys/key"',
    "header": f"api_key_env = \"OTHER_KEY\"\nheaders = {{ X-Secret = '{CANARY}' }}",
}
CONFIG = """
[accounts.main]
provider = "openai"
base_url = "{url}"
{account}
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


@pytest.fixture
def provider() -> Iterator[str]:
    with echo_provider() as url:
        yield url


def work_in(desk: Desk, url: str, way: str) -> None:
    """A config beside which nothing else knows the key: it and the key file lie outside the folder that is searched."""
    desk.env.pop("OPENAI_BASE_URL", None)
    desk.env.pop("OPENAI_API_KEY", None)
    if way == "well-known variable":
        desk.env["OPENAI_API_KEY"] = CANARY
    elif way == "own variable":
        desk.env["SHOP_KEY"] = CANARY
    desk.env["OTHER_KEY"] = "sk-of-no-importance"
    desk.folder = desk.folder / "work"
    desk.write("../keys/key", CANARY + "\n")
    desk.write("../keys/laneway.toml", CONFIG.format(url=url, account=ACCOUNTS[way]).replace("../keys/", ""))
    desk.write("../keys/check.j2", "{{ text }}")
    desk.write("../keys/check.json", json.dumps(SCHEMA))
    desk.env["LANEWAY_CONFIG"] = str(desk.folder.parent / "keys" / "laneway.toml")
    desk.env["LANEWAY_STORE"] = f"sqlite:///{desk.folder}/store.db"


def nowhere(desk: Desk, *texts: str) -> None:
    places = [desk.folder, Path(desk.env["XDG_STATE_HOME"])]
    for file in (file for place in places for file in place.rglob("*") if file.is_file()):
        assert PIECE.encode() not in file.read_bytes(), file
    for text in texts:
        assert PIECE not in text


@pytest.mark.parametrize("way", ACCOUNTS)
def test_the_key_turns_up_nowhere(desk: Desk, provider: str, way: str) -> None:
    work_in(desk, provider, way)
    rows = [{"id": way, "text": way} for way in WAYS]
    desk.write("records.jsonl", "".join(json.dumps(row) + "\n" for row in rows) + "{broken\n")
    shown = desk.run("run", "records.jsonl", "--type", "check", "--on-bad-input", "skip", "-vv")
    assert shown.code == 1, shown.err
    plain = desk.run(
        "run", "records.jsonl", "--prompt", "../keys/check.j2", "-o", "plain.jsonl", "--on-bad-input", "skip", "--json"
    )
    assert plain.json["tasks"]["succeeded"] == 2, plain.out
    assert "[hidden]" in (desk.folder / "plain.jsonl").read_text()
    others = [desk.run("explain", WAYS[1], "-vv"), desk.run("explain", WAYS[2], "--json"), desk.run("status", "--json")]
    others += [desk.run("config", "show", "--origin", "--all"), desk.run("config", "show", "--all", "--json")]
    assert "[hidden]" in others[0].out
    nowhere(desk, *(f"{done.out}{done.err}" for done in (shown, plain, *others)))


def test_neither_do_the_commands_that_look_around(desk: Desk, provider: str) -> None:
    work_in(desk, provider, "well-known variable")
    desk.env["ANTHROPIC_BASE_URL"] = f"https://me:{CANARY.replace('/', '')}@api.anthropic.com"
    desk.env["ANTHROPIC_API_KEY"] = CANARY
    desk.batch("tasks.jsonl", 2, model="small")
    looks = [("doctor",), ("doctor", "--call", "--json", "-vv"), ("plan", "tasks.jsonl", "--json"), ("trust", "--list")]
    said = [desk.run(*look) for look in looks]
    desk.env.pop("LANEWAY_CONFIG")
    desk.write("records.csv", "id,text\n1,hello\n")
    said += [desk.run("init", "--yes"), desk.run("doctor", "-vv"), desk.run("run", "records.csv", "-vv")]
    nowhere(desk, *(f"{done.out}{done.err}" for done in said))


def test_a_worker_and_its_tasks_do_not_tell_it(desk: Desk, provider: str) -> None:
    work_in(desk, provider, "own variable")
    app = """
        import os
        from laneway import Laneway
        lw = Laneway()

        @lw.task
        async def tell(how: str) -> str:
            if how == "raise":
                raise ValueError("the key is " + os.environ["SHOP_KEY"])
            return await lw.call("small", how)

        def main():
            jobs = [lw.sync.submit(tell, how) for how in ("raise", "bad request")]
            for job in jobs:
                try:
                    print(job.result(30))
                except Exception as error:
                    print(repr(error), error)
            print(lw.sync.submit(tell, "answer").result(30))
        """
    lines = app.splitlines()
    desk.write("../keys/tasks.py", "\n".join(line.removeprefix("        ") for line in lines))
    worker = desk.start("worker", "--app", "tasks:lw", "-vv")
    try:
        client = desk.python("-c", "import sys; sys.path.insert(0, '../keys'); import tasks; tasks.main()")
        assert client.out.count("[hidden]") >= 3, client.out + client.err
        argv = Path(f"/proc/{worker.pid}/cmdline").read_text()
    finally:
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=60)
    nowhere(desk, client.out, client.err, out, err, argv)


@pytest.mark.parametrize("place", ["refused", "redirecting"])
def test_an_account_is_paused_without_naming_its_key(desk: Desk, provider: str, place: str) -> None:
    work_in(desk, provider.replace("/v1", f"/{place}/v1"), "own variable")
    desk.batch("tasks.jsonl", 1, model="small")
    done = desk.run("run", "tasks.jsonl", "-vv", "--json")
    assert done.code == 3
    assert done.json["stopped_reason"] == "account"
    nowhere(desk, done.out, done.err, desk.run("status").out)


def test_a_crash_does_not_tell_it(desk: Desk) -> None:
    work_in(desk, "http://127.0.0.1:9/v1", "own variable")
    broken = "import laneway.app.settings as a, os\n"
    broken += "def store(*what): raise RuntimeError('with ' + os.environ['SHOP_KEY'])\n"
    broken += "a.configured_store = store\n"
    broken += "import sys; sys.argv = ['laneway', 'status', '--json']\nfrom laneway.cli.main import main\nmain()\n"
    done = desk.python("-c", broken)
    assert done.code == 1
    assert "RuntimeError: with [hidden]" in done.err
    assert done.json["error"]["kind"] == "internal"
    nowhere(desk, done.out, done.err)
