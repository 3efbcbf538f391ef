"""Tasks, what failed, and trying it again, as somebody sees them in a browser."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.dashboard.browsing import Look, check_all
from tests.dashboard.conftest import Site
from tests.server.served import CONFIG

BAD = 30  # tasks that fail


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    prompt = tmp_path_factory.mktemp("letter") / "letter.j2"
    prompt.write_text("Write to {{ name }}")
    return (
        CONFIG + f'[types.letter]\nprompt = "{prompt}"\nchecks = [{{ pattern = "Kind regards" }}]\nmax_attempts = 1\n'
    )


class _Hears(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[str]]]:
    """A server that no page may ever ask: its URL, and what it was asked."""
    asked: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Hears", (_Hears,), {"asked": asked}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def ask(site: Site, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{site.url}/api/v1{path}", data, {"Content-Type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def failed(site: Site) -> list[int]:
    """Tasks of the type letter whose answers end without a greeting, by id."""
    tasks = [{"type": "letter", "fields": {"name": f"Ms {i}"}, "key": f"letter-{i}"} for i in range(BAD)]
    ids: list[int] = ask(site, "POST", "/tasks/bulk", {"tasks": tasks})["ids"]
    for one in ids:
        assert ask(site, "GET", f"/tasks/{one}/wait?timeout_s=30")["state"] == "failed"
    return ids


def test_an_answer_with_a_script_and_a_remote_image_is_only_text(
    look: Look, site: Site, stranger: tuple[str, list[str]]
) -> None:
    url, asked = stranger
    evil = f"<script>window.ran = 1</script><img src={url}/spy.png onerror=window.ran=1>"
    schema = {"type": "object", "properties": {"x": {"const": evil}}, "required": ["x"], "additionalProperties": False}
    body = {
        "model": "small",
        "messages": [{"role": "user", "content": evil}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    }
    task = ask(site, "POST", "/tasks", {"body": body, "key": "<b>key</b>"})
    ask(site, "GET", f"/tasks/{task['id']}/wait?timeout_s=30")
    for path in (f"/tasks/{task['id']}", f"/tasks/{task['id']}/text?what=out", "/tasks"):
        with look.page(path) as page:
            if path != "/tasks":
                expect(page.locator("pre", has_text="<script>window.ran = 1</script>").first).to_be_visible()
            assert page.evaluate("window.ran") is None
            assert page.locator("main img, main script, main b").count() == 0
    assert not asked, "nothing that an answer names is fetched"


def test_failures_are_grouped_and_tried_again_after_a_look_at_how_many(
    look: Look, site: Site, failed: list[int]
) -> None:
    check_all(look, "/failures", "failures")
    check_all(look, "/failures/retry?class=output&type=letter", "retry")
    with look.page("/failures") as page:
        expect(page.get_by_role("heading", name=f"Output {BAD}")).to_be_visible()
        page.get_by_role("link", name="Try again… all output").click()
        expect(page.get_by_role("heading", name=f"{BAD} failed tasks")).to_be_visible()
        page.get_by_label("Key").fill("letter-1*")
        page.get_by_role("button", name="Count").click()
        expect(page.get_by_role("heading", name="11 failed tasks")).to_be_visible()
        page.get_by_role("button", name="Try 11 tasks again").click()
        expect(page.get_by_text("11 of 11 are queued again")).to_be_visible()
    ask(site, "GET", f"/tasks/{failed[1]}/wait?timeout_s=30")
    tries = [len(ask(site, "GET", f"/tasks/{one}/explain")["attempts"]) for one in (failed[1], failed[2])]
    assert tries == [2, 1], "what the filter did not find stays as it is"


def test_a_task_is_tried_again_by_keyboard_and_its_page_follows(look: Look, site: Site, failed: list[int]) -> None:
    path = f"/tasks/{failed[3]}"
    check_all(look, path, "task")
    with look.page(path) as page:
        expect(page.get_by_text("Try 1: output")).to_be_visible()
        page.get_by_role("button", name="Try again").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("It is queued again.")).to_be_visible()
        expect(page.get_by_text("Try 2: output")).to_be_visible()


def test_tasks_are_found_by_what_they_are_and_listed_a_page_at_a_time(
    look: Look, site: Site, failed: list[int]
) -> None:
    ids = ask(site, "POST", "/tasks/bulk", {"tasks": [{"prompt": f"hello {i}", "tags": ["many"]} for i in range(60)]})
    ask(site, "GET", f"/tasks/{ids['ids'][-1]}/wait?timeout_s=30")
    check_all(look, "/tasks", "tasks")
    with look.page("/tasks") as page:
        page.get_by_label("Tag").fill("many")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody tr")).to_have_count(50)
        page.get_by_role("link", name="Older").click()
        expect(page.locator("tbody tr")).to_have_count(10)
        page.get_by_role("link", name="All tasks").click()
        page.get_by_label("State").select_option("failed")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("tbody tr").first).to_contain_text("failed")


def test_what_makes_no_sense_is_said(look: Look) -> None:
    with look.page("/tasks?state=soon") as page:
        expect(page.get_by_text("state:")).to_be_visible()
    with look.page("/tasks/123456789") as page:
        expect(page.get_by_text("there is no task '123456789'")).to_be_visible()
