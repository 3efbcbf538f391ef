"""schemathesis against the API's own description: no request, sound or not, gets a 500 or an answer that is not as
described."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, Case, GenerationMode, SerializationContext
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from laneway import Laneway
from laneway.server.app import Manners, application
from laneway.server.native.requests import NDJSON
from laneway.task import Urgency
from tests.server.native.asking import CONFIG, Asker

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
IN_URLS = CHECKS[:-1]  # everything in a URL is text: a number where a list of words may stand is one word
Operation = APIOperation[Any, Any, Any, Any]
ENDLESS = ("/events", "/tasks/{ref}/events")  # they answer for as long as somebody listens
PARTS = 4  # so that several processes of the test run share them
TASKS: list[dict[str, Any]] = [
    {"prompt": "hello", "urgency": "urgent"},
    {"type": "review", "fields": {"doc": "a"}, "lane": "legal"},
    {"body": {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}},
]
THERE: dict[str, list[Any]] = {"ref": ["k", "1", "2"], "run_id": [1], "name": ["legal", "main", "general"]}


@schemathesis.serializer(NDJSON)
def _lines(context: SerializationContext, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


class Server:
    """The application in this process, on a real store with some tasks, asked from outside its event loop."""

    def __init__(self, folder: Path) -> None:
        (folder / "laneway.toml").write_text(CONFIG)
        (folder / "prompt.j2").write_text("What is {{ doc }}?")
        self._runner = asyncio.Runner()
        self._lw = Laneway(folder / "laneway.toml", env={"OPENAI_API_KEY": "sk-test"})
        self._app = application(self._lw, Manners(Urgency.STANDARD, 5.0, 1_000_000, works=False))
        api = Asker(self._app)
        self._runner.run(api("POST", "/tasks", {"prompt": "a", "key": "k"}))
        self._runner.run(api("POST", "/tasks", {"type": "review", "fields": {"doc": "a"}, "lane": "legal"}))
        self._runner.run(api("POST", "/tasks/2/cancel"))
        self.described: dict[str, Any] = self._runner.run(api("GET", "/openapi.json"))

    def ask(self, case: Case[Any]) -> httpx.Response:
        given = case.as_transport_kwargs(base_url="http://127.0.0.1/api/v1")
        content = given.get("data")
        request = httpx.Request(
            given["method"],
            given["url"],
            params=given.get("params"),
            headers=dict(given["headers"]),
            cookies=given.get("cookies"),
            json=given.get("json") if content is None else None,
            content=content,
        )
        return self._runner.run(self._send(request))

    async def _send(self, request: httpx.Request) -> httpx.Response:
        transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, timeout=10) as client:
            return await client.send(request)

    def close(self) -> None:
        self._runner.run(self._lw.close())
        self._runner.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_answer_is_as_described(server: Server, part: int) -> None:
    schema = schemathesis.openapi.from_dict(server.described)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    asked = [one for one in operations if one.path.removeprefix("/api/v1") not in ENDLESS]
    assert len(asked) > 30
    statuses: set[int] = set()
    for operation in asked[part::PARTS]:
        statuses |= _sound(server, operation)
        if "{run_id}" in operation.path or len(operation.body) or len(operation.query):  # else nothing could be wrong
            with suppress(Unsatisfiable):
                statuses |= _unsound(server, operation)
    assert statuses >= {200, 400}


def _sound(server: Server, operation: Operation) -> set[int]:
    rng = random.Random(operation.label)

    def choose(case: Case[Any]) -> None:
        if rng.random() < 0.7:  # of something that is there
            there = {name: rng.choice(THERE[name]) for name in case.path_parameters if name in THERE}
            case.path_parameters = {**case.path_parameters, **there}
        if operation.path.endswith("/wait"):
            case.query["timeout_s"] = 0
        if operation.label == "POST /tasks" and isinstance(case.body, dict) and rng.random() < 0.8:
            kept = {name: value for name, value in case.body.items() if name in ("key", "deadline", "tags", "delay_s")}
            case.body = {**kept, **rng.choice(TASKS)}

    return _ask(server, operation, GenerationMode.POSITIVE, 12, choose)


def _unsound(server: Server, operation: Operation) -> set[int]:
    return _ask(server, operation, GenerationMode.NEGATIVE, 6, lambda case: None)


def _ask(
    server: Server, operation: Operation, mode: GenerationMode, examples: int, change: Callable[[Case[Any]], None]
) -> set[int]:
    """The statuses that came."""
    statuses: set[int] = set()

    @settings(max_examples=examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case[Any]) -> None:
        change(case)
        answer = server.ask(case)
        statuses.add(answer.status_code)
        unsound_url = mode is GenerationMode.NEGATIVE and operation.method.upper() == "GET"
        case.validate_response(answer, checks=IN_URLS if unsound_url else CHECKS)

    ask()
    return statuses
