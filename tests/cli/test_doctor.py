"""`laneway doctor` against real endpoints: what works, what does not, and the next step."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk, Done

Simulate = Callable[..., SimulatorProcess]
KEY = "canary-1234567890abcdef"
CONFIG = """
[accounts.main]
provider = "openai"
base_url = "{url}"
api_key_env = "MY_KEY"
{limits}
[models.small]
account = "main"
id = "gpt-4o-mini"
"""


def configure(desk: Desk, url: str, limits: str = "") -> None:
    desk.env["MY_KEY"] = KEY
    desk.write("laneway.toml", CONFIG.format(url=url, limits=limits)).chmod(0o644)


def examine(desk: Desk, *arguments: str) -> tuple[Done, dict[str, list[dict[str, str]]]]:
    """The command's end, and what it found by check."""
    done = desk.run("doctor", "--json", *arguments)
    by_check: dict[str, list[dict[str, str]]] = {}
    for found in done.json["checks"]:
        by_check.setdefault(found["check"], []).append(found)
    assert KEY not in done.out + done.err
    return done, by_check


@contextmanager
def endpoint(status: int, body: bytes, only: str = "", **headers: str) -> Iterator[str]:
    """A server that answers everything alike; or with 404 everything but one path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status if only in ("", self.path) else 404)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.do_GET()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_all_is_well_and_nothing_was_paid(bare: Desk, simulate: Simulate) -> None:
    simulator = simulate(key=[KEY])
    configure(bare, simulator.url)
    done, found = examine(bare)
    assert done.code == 0
    assert (done.json["problems"], done.json["warnings"]) == (0, 0)
    assert set(found) == {"program", "config", "account main", "limits main", "clock", "disk", "store", "extras"}
    assert "takes the key" in found["account main"][0]["said"]
    assert not (bare.folder / ".laneway").exists()
    assert simulator.stats()["requests"] == 0
    assert bare.run("doctor").out.endswith("all is well\n")


def test_a_call_per_model_reads_the_limits(bare: Desk, simulate: Simulate) -> None:
    simulator = simulate(key=[KEY], rpm=600, tpm=90_000)
    configure(bare, simulator.url, "requests_per_minute = 1000")
    done, found = examine(bare, "--call")
    assert done.code == 0
    assert simulator.stats()["requests"] == 1
    assert found["model small"][0]["status"] == "ok"
    assert "$0.0000" in found["model small"][0]["said"]
    assert found["limits main"][0]["status"] == "warning"
    assert "set requests_per_minute = 600" in found["limits main"][0]["next"]


def test_what_a_run_has_learnt_is_told_without_a_call(bare: Desk, simulate: Simulate) -> None:
    simulator = simulate(key=[KEY], rpm=600)
    configure(bare, simulator.url)
    bare.batch("tasks.jsonl", 1)
    assert bare.run("run", "tasks.jsonl").code == 0
    done, found = examine(bare)
    assert done.code == 0
    assert "600 requests a minute (as of the last run)" in found["limits main"][0]["said"]
    assert "sound" in found["store"][0]["said"]
    assert found["workers"][0]["said"].startswith("none")
    assert found["privacy"][0]["status"] == "ok"


def test_a_refused_key(bare: Desk, simulate: Simulate) -> None:
    configure(bare, simulate(key=["another"]).url)
    done, found = examine(bare)
    assert done.code == 1
    assert "refuses the key from MY_KEY (401" in found["account main"][0]["said"]
    bare.batch("tasks.jsonl", 1)
    assert bare.run("run", "tasks.jsonl").code == 3
    _, found = examine(bare)
    assert any("the last run stopped at it" in one["said"] for one in found["account main"])


def test_a_missing_key_and_one_that_would_go_astray(bare: Desk) -> None:
    configure(bare, "https://api.openai.com/v1")
    del bare.env["MY_KEY"]
    done, found = examine(bare)
    assert done.code == 1
    assert "export MY_KEY=…" in found["account main"][0]["next"]
    bare.write(
        "laneway.toml", CONFIG.format(url="https://evil.example/v1", limits="").replace("MY_KEY", "OPENAI_API_KEY")
    )
    bare.env["OPENAI_API_KEY"] = KEY
    done, found = examine(bare)
    assert done.code == 1
    assert "evil.example" in found["account main"][0]["said"]


def test_a_base_url_without_v1(bare: Desk) -> None:
    with endpoint(200, b'{"object": "list", "data": [{"id": "gpt-4o-mini"}]}', only="/v1/models") as url:
        short = url.removesuffix("/v1")
        configure(bare, short)
        done, found = examine(bare)
    assert done.code == 1
    assert found["account main"][0]["next"] == f'set base_url = "{url}" under [accounts.main]'


def test_an_endpoint_that_lists_nothing(bare: Desk) -> None:
    with endpoint(404, b'{"error": {"message": "no such path"}}') as url:
        configure(bare, url)
        done, found = examine(bare)
    assert done.code == 0
    assert "--call" in found["account main"][0]["next"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html><body>Please log in</body></html>", "is a web page, no API"),
        (502, b"<html>bad gateway</html>", "is a web page"),
        (503, b'{"error": {"message": "busy"}}', "has trouble (503: busy)"),
        (302, b"", "redirects"),
        (200, b'{"hello": "world"}', "no list of models"),
    ],
)
def test_other_answers(bare: Desk, status: int, body: bytes, said: str) -> None:
    with endpoint(status, body) as url:
        configure(bare, url)
        _, found = examine(bare)
    assert said in found["account main"][0]["said"]
    assert found["account main"][0]["next"]


def test_a_model_that_is_not_there(bare: Desk) -> None:
    with endpoint(200, b'{"object": "list", "data": [{"id": "gpt-4o-mini-2"}, {"id": "gpt-5o-mini"}]}') as url:
        configure(bare, url)
        done, found = examine(bare)
        assert found["account main"][1:] == []  # gpt-4o-mini may be an alias of gpt-4o-mini-2
    with endpoint(200, b'{"object": "list", "data": [{"id": "gpt-5o-mini"}]}') as url:
        configure(bare, url)
        done, found = examine(bare)
    assert done.code == 0
    assert found["account main"][1]["next"] == "it has gpt-5o-mini"


def test_a_clock_that_is_wrong(bare: Desk) -> None:
    with endpoint(200, b'{"data": [{"id": "gpt-4o-mini"}]}', Date="Wed, 25 Nov 2020 03:00:00 GMT") as url:
        configure(bare, url)
        _, found = examine(bare)
    assert found["clock"][0]["status"] == "warning"
    assert "ahead of main's" in found["clock"][0]["said"]


def test_a_config_that_does_not_load_does_not_end_it(bare: Desk) -> None:
    bare.write("laneway.toml", "[acounts.main]\n")
    done, found = examine(bare)
    assert done.code == 1
    assert "did you mean 'accounts'" in found["config"][0]["said"]
    assert "store" in found


def test_a_template_with_a_mistake_is_found(bare: Desk) -> None:
    bare.write("p.j2", "{% if %}")
    bare.write("laneway.toml", '[types.a]\nprompt = "p.j2"\n')
    _, found = examine(bare)
    assert "p.j2, line 1" in found["config"][1]["said"]


def test_a_store_that_is_none_and_one_that_others_may_read(bare: Desk, simulate: Simulate) -> None:
    configure(bare, simulate(key=[KEY]).url)
    text = bare.write("store.db", "this is no database, but it is long enough to be taken for one" * 20)
    done, found = examine(bare, "--store", f"sqlite:///{text}")
    assert done.code == 1
    assert "not a Laneway store" in found["store"][0]["said"]
    assert "chmod 600" in found["privacy"][0]["next"]


def test_without_anything_it_says_how_to_begin(bare: Desk) -> None:
    done, found = examine(bare)
    assert done.code == 1
    assert "laneway init" in found["keys"][0]["next"]
    bare.env["OPENAI_API_KEY"] = KEY
    bare.env["OPENAI_BASE_URL"] = bare.env["VLLM_BASE_URL"]
    done, found = examine(bare)
    assert done.code == 1
    assert "nothing listens there" in found["account openai"][0]["said"]
