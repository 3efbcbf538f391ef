"""Batch files as the providers document them, run unchanged; the official SDKs' own types read what comes out."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic.types.messages import MessageBatchIndividualResponse
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
TYPES: dict[str, type[BaseModel]] = {CHAT: ChatCompletion, RESPONSES: Response, EMBEDDINGS: CreateEmbeddingResponse}

# as in OpenAI's guide, "Batch API", "Prepare your batch file"
GUIDE = """\
{"custom_id": "request-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-3.5-turbo-0125", \
"messages": [{"role": "system", "content": "You are a helpful assistant."},{"role": "user", "content": \
"Hello world!"}],"max_tokens": 1000}}
{"custom_id": "request-2", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "gpt-3.5-turbo-0125", \
"messages": [{"role": "system", "content": "You are an unhelpful assistant."},{"role": "user", "content": \
"Hello world!"}],"max_tokens": 1000}}
"""


def openai(url: str, key: str, **body: Any) -> dict[str, Any]:
    return {"custom_id": key, "method": "POST", "url": url, "body": body}


def film(n: int) -> dict[str, Any]:
    """As in OpenAI's cookbook, "Batch processing with the Batch API": a JSON answer about a film."""
    said = [{"role": "system", "content": "Extract categories as JSON."}, {"role": "user", "content": f"A film {n}"}]
    return openai(
        CHAT, f"task-{n}", model="gpt-4o-mini", temperature=0.1, response_format={"type": "json_object"}, messages=said
    )


def picture(n: int) -> dict[str, Any]:
    """The cookbook's second example: a caption for a linked picture."""
    parts = [
        {"type": "text", "text": f"Title {n}"},
        {"type": "image_url", "image_url": {"url": "https://example.com/chair.jpg"}},
    ]
    said = [{"role": "system", "content": "Write a caption."}, {"role": "user", "content": parts}]
    return openai(CHAT, f"picture-{n}", model="gpt-4o-mini", temperature=0.2, max_tokens=300, messages=said)


EXAMPLES = [
    *(film(n) for n in range(3)),
    picture(0),
    openai(RESPONSES, "r-1", model="gpt-4o-mini", input="Tell me a story", max_output_tokens=50),
    openai(RESPONSES, "r-2", model="gpt-4o-mini", instructions="Be kind", input=[{"role": "user", "content": "Hi"}]),
    openai(EMBEDDINGS, "e-1", model="text-embedding-3-small", input="The food was delicious", encoding_format="float"),
    openai(EMBEDDINGS, "e-2", model="text-embedding-3-small", input=["one", "two"]),
]
# as in Anthropic's guide, "Batch processing"
ANTHROPIC = [
    {
        "custom_id": "my-first-request",
        "params": {
            "model": "claude-sonnet-4-5",
            "max_tokens": 1024,
            "messages": [{"role": "user", "content": "Hello, world"}],
        },
    },
    {
        "custom_id": "my-second-request",
        "params": {
            "model": "claude-sonnet-4-5",
            "max_tokens": 1024,
            "system": [{"type": "text", "text": "Be brief", "cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": "Hi again, friend"}],
        },
    },
]


@pytest.fixture
def both(desk: Desk, simulate: Callable[..., SimulatorProcess]) -> SimulatorProcess:
    """One simulator as both providers."""
    simulator = simulate()
    desk.env["ANTHROPIC_BASE_URL"] = simulator.url.removesuffix("/v1")
    desk.env["ANTHROPIC_API_KEY"] = "sk-ant-test"
    return simulator


def jsonl(*lines: dict[str, Any]) -> str:
    return "".join(json.dumps(line) + "\n" for line in lines)


def check(line: dict[str, Any], asked: dict[str, Any]) -> None:
    """One line of the results, against the SDK's type for what was asked."""
    if "params" in asked:
        read = MessageBatchIndividualResponse.model_validate(line, strict=True)
        assert read.result.type == "succeeded"
        assert read.result.message.content[0].type == "text"
        assert read.result.message.usage.output_tokens > 0
        assert not read.model_extra
        return
    assert set(line) == {"id", "custom_id", "response", "error"}
    assert line["error"] is None
    assert set(line["response"]) == {"status_code", "request_id", "body"}
    assert line["response"]["status_code"] == 200
    answer = TYPES[asked["url"]].model_validate(line["response"]["body"], strict=True)
    if isinstance(answer, ChatCompletion):
        assert answer.choices[0].message.content
    elif isinstance(answer, Response):
        assert answer.output_text
    else:
        assert isinstance(answer, CreateEmbeddingResponse)
        given = asked["body"]["input"]
        assert len(answer.data) == (len(given) if isinstance(given, list) else 1)


def test_openais_guide_runs_unchanged(desk: Desk, both: SimulatorProcess) -> None:
    desk.write("batchinput.jsonl", GUIDE)
    assert desk.run("run", "batchinput.jsonl").code == 0
    asked = {line["custom_id"]: line for line in map(json.loads, GUIDE.splitlines())}
    rows = desk.rows("batchinput.results.jsonl")
    assert {row["custom_id"] for row in rows} == set(asked)
    for row in rows:
        check(row, asked[row["custom_id"]])


@pytest.mark.parametrize("samples", [1, 2])
def test_every_kind_of_line_side_by_side(desk: Desk, both: SimulatorProcess, samples: int) -> None:
    desk.write("mixed.jsonl", jsonl(*EXAMPLES, *ANTHROPIC))
    done = desk.run("run", "mixed.jsonl", "--json", "--samples", str(samples))
    assert done.code == 0, done.err
    asked = {line["custom_id"]: line for line in (*EXAMPLES, *ANTHROPIC)}
    rows = desk.rows("mixed.results.jsonl")
    keys = [f"{key}#{n}" if samples > 1 else key for key in asked for n in range(1, samples + 1)]
    assert sorted(row["custom_id"] for row in rows) == sorted(keys)
    for row in rows:
        check(row, asked[row["custom_id"].partition("#")[0]])
    assert {kind: figures["tasks"] for kind, figures in done.json["by_type"].items()} == {
        "chat": 4 * samples,
        "responses": 2 * samples,
        "embeddings": 2 * samples,
        "messages": 2 * samples,
    }
    assert both.stats()["completed"] == 10 * samples


@pytest.mark.parametrize("indent", [None, 2])
def test_anthropics_post_body(desk: Desk, both: SimulatorProcess, indent: int | None) -> None:
    desk.write("batch.json", json.dumps({"requests": ANTHROPIC}, indent=indent))
    assert desk.run("run", "batch.json").code == 0
    asked = {line["custom_id"]: line for line in ANTHROPIC}
    for row in desk.rows("batch.results.jsonl"):
        check(row, asked[row["custom_id"]])


def test_a_mixed_batch_as_a_table(desk: Desk, both: SimulatorProcess) -> None:
    desk.write("mixed.jsonl", jsonl(*EXAMPLES, *ANTHROPIC))
    assert desk.run("run", "mixed.jsonl", "-o", "out.csv").code == 0
    with (desk.folder / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["custom_id", "status", "output", "error", "model", "cost_usd"]
    assert {row["custom_id"] for row in rows} == {line["custom_id"] for line in (*EXAMPLES, *ANTHROPIC)}
    assert all(row["output"] for row in rows)
    vectors = {row["custom_id"]: json.loads(row["output"]) for row in rows if row["custom_id"].startswith("e-")}
    assert len(vectors["e-2"]) == 2


def test_failures_as_each_provider_writes_them(desk: Desk, both: SimulatorProcess) -> None:
    both.control(error_rate=1.0)
    desk.write("laneway.toml", "[retry]\nmax_attempts = 1\n")
    desk.write("mixed.jsonl", jsonl(EXAMPLES[0], EXAMPLES[4], EXAMPLES[6], ANTHROPIC[0]))
    assert desk.run("run", "mixed.jsonl").code == 1
    rows = {row["custom_id"]: row for row in desk.rows("mixed.results.jsonl.errors.jsonl")}
    assert len(rows) == 4
    failed = MessageBatchIndividualResponse.model_validate(rows.pop("my-first-request"), strict=True)
    assert failed.result.type == "errored"
    assert failed.result.error.error.type in ("api_error", "overloaded_error")
    for row in rows.values():
        assert row["error"] is None
        assert row["response"]["status_code"] >= 500
        assert row["response"]["body"]["error"]["message"]


def test_standard_input_may_be_lines_or_a_table(desk: Desk, both: SimulatorProcess) -> None:
    assert desk.run("run", "-", stdin=jsonl(*(film(n) for n in range(5)))).code == 0
    assert len(desk.rows("stdin.results.jsonl")) == 5
    desk.write("ask.j2", "{{ text }}")
    table = "id;text\n1;one\n2;two\n"
    assert desk.run("run", "-", "--prompt", "ask.j2", "--model", "gpt-4o", "-o", "t.jsonl", stdin=table).code == 0
    assert sorted(row["id"] for row in desk.rows("t.jsonl")) == ["1", "2"]
