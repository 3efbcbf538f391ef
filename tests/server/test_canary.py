"""Secrets in the config, the environment and requests' headers turn up nowhere that a server writes or shows."""

from __future__ import annotations

import base64
import http.client
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from tests.cli.echo import WAYS, echo_provider
from tests.conftest import Desk
from tests.server.routes import ROUTES
from tests.server.served import Serve, Served

KEY = 'C4nary"+/=4711tail'  # the provider's; written differently in JSON and in URLs
OPERATOR = "operator-c4nary-9f3e"
HOOK = b"c4nary-h00k-0123456789abcdef-0123"
SECRETS = {  # by a piece that is the same however they are written
    "4711tail": "the provider's key",
    "c4nary-9f3e": "the environment's token",
    "wr0ng-7b1d": "a token that somebody got wrong",
    "h3ader-5c2a": "a header of a client",
    "qu3ry-6d11": "a key in an address",
    "c0llector-8e20": "the collector's key",
    "c4nary-h00k": "the webhooks' secret",
    base64.b64encode(HOOK).decode()[:20]: "the webhooks' secret",
}
ACCOUNTS = {
    "variable": 'api_key_env = "SHOP_KEY"',
    "file": 'api_key_file = "key"',
    "header": f"api_key_env = \"OTHER_KEY\"\nheaders = {{ X-Secret = '{KEY}' }}",
}
CONFIG = """
[accounts.main]
provider = "openai"
base_url = "{url}"
{account}
[models.small]
account = "main"
id = "gpt-4o-mini"
[defaults]
model = "small"
[retry]
max_attempts = 2
delays = ["1ms"]
"""


@pytest.fixture
def collected() -> Iterator[tuple[str, list[bytes]]]:
    """A collector of traces: its address, and what came."""
    came: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with running(Collector) as url:
        yield url, came


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("way", ACCOUNTS)
def test_they_turn_up_nowhere(desk: Desk, serve: Serve, collected: tuple[str, list[bytes]], way: str) -> None:
    with echo_provider() as url:
        work_in(desk, way, url, collected[0])
        ann = desk.run("token", "create", "ann", "--team", "red", "--json").json["token"]
        served = serve("-vv", "--timeout", "2", "--access-log", "--log-format", "json")
        served.url = served.url.removesuffix("/v1")
        said: list[str] = []
        reading = threading.Thread(target=lambda: said.extend(served.process.stderr or ()))
        reading.start()  # or it would stand still when nobody takes what it logs
        told = [*submitted(served, ann), *turned_away(served)]
        held, page = logged_in(served)
        told += [page, *looked_at(served)]
        assert any("[hidden]" in one for one in told), "the provider did repeat its key"
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0
        reading.join()
        served.process.communicate()
    assert said
    assert collected[1], "there were traces"
    told += [*said, str(served.process.args), *(one.decode("latin-1") for one in collected[1])]
    told += [desk.run("status", "--json").out, desk.run("explain", "1", "--json").out, desk.run("token", "list").out]
    kept = {file: file.read_bytes() for file in (desk.folder / ".laneway").rglob("*") if file.is_file()}
    assert kept
    for piece in (*SECRETS, ann, held):
        assert not [one for one in told if piece in one], SECRETS.get(piece, "a token, or a session")
        assert not [file for file, content in kept.items() if piece.encode() in content], piece


def work_in(desk: Desk, way: str, url: str, collector: str) -> None:
    desk.env.pop("OPENAI_API_KEY", None)
    desk.env["LANEWAY_TOKEN"] = OPERATOR
    desk.env["LANEWAY_WEBHOOK_SECRET"] = "whsec_" + base64.b64encode(HOOK).decode()
    desk.env["OTHER_KEY"] = "sk-of-no-importance"
    desk.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
    desk.env["OTEL_EXPORTER_OTLP_HEADERS"] = "x-api-key=c0llector-8e20"
    if way == "variable":
        desk.env["SHOP_KEY"] = KEY
    desk.write("key", KEY + "\n").chmod(0o600)
    desk.write("laneway.toml", CONFIG.format(url=url, account=ACCOUNTS[way]))


def submitted(served: Served, token: str) -> list[str]:
    """What those are answered who may ask, in each way in which a provider repeats its key."""
    told = []
    for who in (token, OPERATOR):
        headers = {"Authorization": f"Bearer {who}", "X_Custom": "h3ader-5c2a", "X_Laneway_Tags": "a"}

        def ask(path: str, body: object = None, headers: dict[str, str] = headers) -> None:
            told.append(str(served.ask(path, body, **headers)))

        ask("/api/v1/tasks", {"prompt": "answer", "key": f"k-{who[:3]}"})
        ask(f"/api/v1/tasks/k-{who[:3]}/wait?timeout_s=20")
        for hook in ("http://127.0.0.1:1/", "https://10.0.0.1/x"):
            ask("/api/v1/tasks", {"prompt": "answer", "webhook": hook})
        ask("/v1/messages/batches", BATCH)
        ask("/v1/messages", {"model": "small", "max_tokens": 9, "messages": hello("bad request")})
        ask("/v1/chat/completions", {"model": "small", "messages": hello("answer"), "stream": True})
    for way in (*(way for way in WAYS if way not in OUTAGES), *OUTAGES):
        ask("/v1/chat/completions", {"model": "small", "messages": hello(way)})
    return told


OUTAGES = ("gone wrong", "page")  # the last, since the account is not called for a while then


def hello(way: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": way}]


BATCH = {
    "requests": [
        {
            "custom_id": "a",
            "params": {"model": "small", "max_tokens": 9, "messages": hello("answer")},
        }
    ]
}


def turned_away(served: Served) -> list[str]:
    """… and those who may not."""
    told = [
        served.ask("/v1/models", Authorization="Bearer wr0ng-7b1d"),
        served.ask("/v1/models", Authorization="", X_Api_Key="wr0ng-7b1d"),
        served.ask("/v1/models", Authorization="Basic wr0ng-7b1d"),
        served.ask("/v1/models?api_key=qu3ry-6d11", Authorization=""),
        served.ask("/v1/nothing?api_key=qu3ry-6d11", Authorization=f"Bearer {OPERATOR}"),
        served.ask("/api/v1/tasks?api_key=qu3ry-6d11&limit=x", Authorization=f"Bearer {OPERATOR}"),
        served.ask("/login", b"token=wr0ng-7b1d&next=/", Authorization=""),
        served.ask("/v1/chat/completions", b"{", Authorization=f"Bearer {OPERATOR}"),
    ]
    return [str(one) for one in told]


def logged_in(served: Served) -> tuple[str, str]:
    """What a browser holds after it, and its page."""
    where = urlsplit(served.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    connection.request("POST", "/login", f"token={OPERATOR}", {"Sec-Fetch-Site": "same-origin"})
    answer = connection.getresponse()
    answer.read()
    held = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
    connection.close()
    connection.request("GET", "/", headers={"Cookie": f"laneway_session={held}"})
    answer = connection.getresponse()
    page = answer.read().decode()
    assert answer.status == 200
    connection.close()
    return held, page


def looked_at(served: Served) -> list[str]:
    """Every page and list, as who sees everything."""
    runs = served.ask("/api/v1/runs", Authorization=f"Bearer {OPERATOR}")[1]["data"]
    names = {"ref": "1", "run_id": str(runs[0]["id"]), "name": "small", "batch_id": "x", "file_id": "x", "id": "1"}
    batches = served.ask("/v1/messages/batches", Authorization=f"Bearer {OPERATOR}")[1]["data"]
    names["batch_id"] = batches[0]["id"]
    told = []
    for route in ROUTES:
        if route.method == "GET" and route.path not in STREAMS:
            path = route.path.replace(":path", "").replace(":int", "")
            answer = served.ask(f"{path.format_map(names)}", Authorization=f"Bearer {OPERATOR}")
            assert answer[0] < 500, (route, answer)
            told.append(str(answer))
    return told


STREAMS = {"/ui/changes", "/api/v1/events", "/api/v1/tasks/{ref}/events"}
