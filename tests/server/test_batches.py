"""Batches through ``laneway serve``: both providers' own clients, also across a kill -9 in the middle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

import anthropic
import openai
import pytest
from anthropic.types.messages.batch_create_params import Request as BatchRequest

from tests.conftest import Desk
from tests.server.served import Serve, Served, Simulate

T = TypeVar("T")
CONFIG = """
[accounts.main]
provider = "openai"
concurrency = 4
[models.small]
account = "main"
id = "gpt-4o-mini"
[defaults]
model = "small"
"""


@pytest.fixture(autouse=True)
def _config(desk: Desk) -> None:
    desk.write("laneway.toml", CONFIG)
    desk.env["LANEWAY_TOKEN"] = "t"


def to_openai(served: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.url, api_key="t", max_retries=0)


def to_anthropic(served: Served) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=served.url.removesuffix("/v1"), api_key="t", max_retries=0)


def until(look: Callable[[], T], right: Callable[[T], bool]) -> T:
    give_up = time.monotonic() + 60
    while not right(seen := look()):
        assert time.monotonic() < give_up, seen
        time.sleep(0.05)
    return seen


def lines(n: int, **body: Any) -> bytes:
    rows = []
    for i in range(n):
        request = {"model": "small", "messages": [{"role": "user", "content": f"hello {i}"}], **body}
        rows.append({"custom_id": f"t{i}", "method": "POST", "url": "/v1/chat/completions", "body": request})
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def start(client: openai.OpenAI, content: bytes, **options: Any) -> Any:
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **options
    )


def results(client: openai.OpenAI, file_id: str | None) -> list[Any]:
    assert file_id is not None
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def test_a_file_is_kept_as_it_was_sent(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    with to_openai(serve()) as client:
        content = lines(2) + "ü\r\n--boundary".encode() + bytes(range(256)) * 9_000  # several pieces
        file = client.files.create(file=("in.jsonl", content), purpose="batch")
        assert (file.bytes, file.filename, file.purpose, file.status) == (
            len(content),
            "in.jsonl",
            "batch",
            "processed",
        )
        assert client.files.content(file.id).content == content
        assert client.files.retrieve(file.id) == file
        other = client.files.create(file=("other.jsonl", b"x"), purpose="batch")
        assert [one.id for one in client.files.list(limit=1)] == [other.id, file.id]
        assert client.files.delete(file.id).deleted
        with pytest.raises(openai.NotFoundError):
            client.files.content(file.id)
        with pytest.raises(openai.BadRequestError, match="purpose"):
            client.files.create(file=("in.jsonl", content), purpose="vision")
        assert [one.id for one in client.files.list()] == [other.id]
        assert desk.run("prune", "--older-than", "0s", "--dry-run", "--json").json["files"] == 1
        assert desk.run("prune", "--older-than", "0s", "--json").json["files"] == 1
        assert list(client.files.list()) == []


def test_a_kill_in_mid_batch_changes_nothing_for_the_client(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulator = simulate(latency=0.2)
    served = serve()
    with to_openai(served) as client:
        batch = start(client, lines(40), metadata={"lane": "night"})
        assert (batch.status, batch.request_counts.total, batch.output_file_id) == ("in_progress", 40, None)
        until(simulator.stats, lambda stats: stats["completed"] >= 8)
        served.kill()
    with to_openai(serve()) as client:
        done = until(lambda: client.batches.retrieve(batch.id), lambda batch: batch.status == "completed")
        assert done.request_counts is not None
        assert (done.request_counts.completed, done.request_counts.failed) == (40, 0)
        assert done.metadata == {"lane": "night"}
        assert done.completed_at is not None
        found = results(client, done.output_file_id)
        assert sorted(row["custom_id"] for row in found) == sorted(f"t{i}" for i in range(40)), "every result once"
        assert {row["response"]["status_code"] for row in found} == {200}
        assert found[0]["response"]["body"]["choices"][0]["message"]["content"]
        assert done.error_file_id is None
        assert done.output_file_id is not None
        content = client.files.content(done.output_file_id).content
        assert client.files.retrieve(done.output_file_id).bytes == len(content)
        assert [one.id for one in client.batches.list()] == [batch.id]
    assert simulator.stats()["requests"] <= 44, "at most what was in flight is paid again"
    assert desk.run("explain", "1", "--json").json["route"]["lane"] == "night"


def test_cancel_and_what_had_been_answered(serve: Serve, simulate: Simulate) -> None:
    simulator = simulate(latency=0.3)
    with to_openai(serve()) as client:
        batch = start(client, lines(30))
        until(simulator.stats, lambda stats: stats["completed"] >= 4)
        cancelling = client.batches.cancel(batch.id)
        assert cancelling.status == "cancelling"
        done = until(lambda: client.batches.retrieve(batch.id), lambda batch: batch.status == "cancelled")
        answered = results(client, done.output_file_id)
        others = results(client, done.error_file_id)
        assert done.request_counts is not None
        assert len(answered) == done.request_counts.completed >= 4
        assert {row["error"]["code"] for row in others} == {"cancelled"}
        assert len(answered) + len(others) == 30
        with pytest.raises(openai.ConflictError):
            client.batches.cancel(batch.id)


def test_the_same_key_is_the_same_batch_and_what_cannot_be_done_is_refused(serve: Serve, simulate: Simulate) -> None:
    simulator = simulate()
    with to_openai(serve()) as client:
        keyed = {"extra_headers": {"Idempotency-Key": "nightly"}}
        first = start(client, lines(3), **keyed)
        assert start(client, lines(3), **keyed).id == first.id
        until(lambda: client.batches.retrieve(first.id), lambda batch: batch.status == "completed")
        assert simulator.stats()["requests"] == 3
        cases = [
            (lines(1) + lines(1), "came before"),
            (lines(1, model="nobody"), "nobody"),
            (lines(1, stream=True), "not streamed"),
            (b"{}\n", "custom_id"),
            (lines(1).replace(b"chat/completions", b"embeddings"), "line 1"),
            (b"\n", "no requests"),
        ]
        for content, why in cases:
            with pytest.raises(openai.BadRequestError, match=why):
                start(client, content)
        with pytest.raises(openai.NotFoundError):
            client.batches.retrieve("batch_none")
        with pytest.raises(openai.NotFoundError):
            client.batches.create(input_file_id="file-x", endpoint="/v1/responses", completion_window="24h")
        assert [one.id for one in client.batches.list()] == [first.id]
    assert simulator.stats()["requests"] == 3


def test_message_batches_across_a_kill(serve: Serve, simulate: Simulate) -> None:
    simulator = simulate(latency=0.2)
    requests: list[BatchRequest] = [
        {
            "custom_id": f"m{i}",
            "params": {"model": "small", "max_tokens": 20, "messages": [{"role": "user", "content": f"hello {i}"}]},
        }
        for i in range(24)
    ]
    served = serve()
    with to_anthropic(served) as client:
        batch = client.messages.batches.create(requests=requests)
        assert (batch.processing_status, batch.results_url, batch.request_counts.processing) == (
            "in_progress",
            None,
            24,
        )
        until(simulator.stats, lambda stats: stats["completed"] >= 4)
        served.kill()
    with to_anthropic(serve()) as client:
        done = until(
            lambda: client.messages.batches.retrieve(batch.id), lambda batch: batch.processing_status == "ended"
        )
        assert (done.request_counts.succeeded, done.request_counts.errored) == (24, 0)
        found = list(client.messages.batches.results(batch.id))
        assert sorted(one.custom_id for one in found) == sorted(f"m{i}" for i in range(24)), "every result once"
        assert all(one.result.type == "succeeded" and one.result.message.content for one in found)
        assert [one.id for one in client.messages.batches.list()] == [batch.id]
        assert client.messages.batches.delete(batch.id).type == "message_batch_deleted"
        with pytest.raises(anthropic.NotFoundError):
            client.messages.batches.retrieve(batch.id)


def test_message_batches_are_cancelled_and_refused(serve: Serve, simulate: Simulate) -> None:
    simulator = simulate(latency=0.3)
    params: Any = {"model": "small", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]}
    with to_anthropic(serve()) as client:
        batch = client.messages.batches.create(requests=[{"custom_id": f"m{i}", "params": params} for i in range(20)])
        until(simulator.stats, lambda stats: stats["completed"] >= 4)
        assert client.messages.batches.cancel(batch.id).processing_status == "canceling"
        until(lambda: client.messages.batches.retrieve(batch.id), lambda batch: batch.processing_status == "ended")
        kinds = [one.result.type for one in client.messages.batches.results(batch.id)]
        assert set(kinds) == {"succeeded", "canceled"}
        assert len(kinds) == 20
        del params["max_tokens"]
        with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
            client.messages.batches.create(requests=[{"custom_id": "m", "params": params}])
