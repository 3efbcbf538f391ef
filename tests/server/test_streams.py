"""Streams through ``laneway serve``: as they are written, never begun twice, over when they are on disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import anthropic
import apsw
import openai
import pytest
from openai.types.chat import ChatCompletionUserMessageParam

from tests.conftest import Desk
from tests.server.served import Serve, Served, Simulate

CONFIG = """
[accounts.main]
provider = "openai"
[accounts.other]
provider = "anthropic"
[models.small]
account = "main"
id = "gpt-4o-mini"
[models.claude]
account = "other"
id = "claude-sonnet-4-5"
[defaults]
model = "small"
"""
HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "hello"}]


@pytest.fixture
def begin(desk: Desk, serve: Serve, simulate: Simulate) -> Callable[..., tuple[Served, Any]]:
    def start(**options: Any) -> tuple[Served, Any]:
        simulator = simulate(**{"output_tokens": 60, **options})
        desk.env["ANTHROPIC_BASE_URL"] = simulator.url
        desk.env["ANTHROPIC_API_KEY"] = "sk-ant-test"
        desk.env["LANEWAY_TOKEN"] = "t"
        desk.write("laneway.toml", CONFIG)
        return serve(), simulator

    return start


Begin = Callable[..., tuple[Served, Any]]


def to_openai(served: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=served.url, api_key="t", max_retries=0)


def test_chat_comes_as_it_is_written_and_is_kept_when_it_is_over(desk: Desk, begin: Begin) -> None:
    served, simulator = begin(latency=2.0)
    key = {"Idempotency-Key": "k"}
    with to_openai(served) as client:
        started, times, text = time.monotonic(), [], ""
        stream = client.chat.completions.create(model="small", messages=HELLO, stream=True, extra_headers=key)
        parts = []
        kept = apsw.Connection(str(desk.folder / ".laneway" / "laneway.db"), flags=apsw.SQLITE_OPEN_READONLY)
        for part in stream:
            if part.choices[0].finish_reason:
                assert list(kept.execute("SELECT state FROM task")) == [("succeeded",)], "on disk before it is over"
            times.append(time.monotonic() - started)
            parts.append(part)
            text += part.choices[0].delta.content or ""
        kept.close()
        assert times[0] < 0.7 * times[-1], "the first part comes long before the last"
        assert parts[-1].choices[0].finish_reason == "stop"
        assert all(part.choices for part in parts), "nobody asked for the usage"
        again = client.chat.completions.create(model="small", messages=HELLO, extra_headers=key)
        assert again.choices[0].message.content == text, "the same answer, from the store"
        assert again.usage is not None
        assert again.usage.completion_tokens == 60
        replayed = client.chat.completions.create(
            model="small", messages=HELLO, stream=True, extra_headers=key, stream_options={"include_usage": True}
        )
        *told, usage = list(replayed)
        assert "".join(part.choices[0].delta.content or "" for part in told) == text
        assert usage.usage is not None
    assert simulator.stats()["requests"] == 1
    assert desk.run("explain", "k", "--json").json["state"] == "succeeded"


def test_responses_and_messages_come_live_too(begin: Begin) -> None:
    served, simulator = begin(latency=1.0)
    with to_openai(served) as client:
        kinds = [event.type for event in client.responses.create(model="small", input="hello", stream=True)]
        assert kinds[0] == "response.created"
        assert kinds[-1] == "response.completed"
        assert kinds.count("response.output_text.delta") > 1, "as it came, not in one piece"
    url = served.url.removesuffix("/v1")
    with (
        anthropic.Anthropic(base_url=url, api_key="t", max_retries=0) as other,
        other.messages.stream(model="claude", max_tokens=100, messages=[{"role": "user", "content": "hi"}]) as stream,
    ):
        pieces = list(stream.text_stream)
        last = stream.get_final_message()
        assert len(pieces) > 1
        assert last.usage.output_tokens == 60
        assert last.stop_reason == "end_turn"
    assert simulator.stats()["requests"] == 2


def test_what_was_begun_is_not_asked_again(desk: Desk, begin: Begin) -> None:
    served, simulator = begin(latency=0.4, cut_rate=1.0)
    read: list[Any] = []
    with to_openai(served) as client:
        stream = client.chat.completions.create(model="small", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError, match="connection failed"):
            read.extend(stream)
    assert read
    assert simulator.stats()["requests"] == 1, "no retry after the first part"
    assert desk.run("status", "--json").json["runs"][0]["tasks"]["failed"] == 1


def test_an_error_within_the_stream_has_the_providers_shape(begin: Begin) -> None:
    served, simulator = begin(latency=0.4, overload_stream_rate=1.0)
    url = served.url.removesuffix("/v1")
    with anthropic.Anthropic(base_url=url, api_key="t", max_retries=0) as client:
        with (
            pytest.raises(anthropic.APIStatusError) as failed,
            client.messages.stream(
                model="claude", max_tokens=100, messages=[{"role": "user", "content": "hi"}]
            ) as stream,
        ):
            list(stream)
        assert isinstance(failed.value.body, dict)
        assert failed.value.body["type"] == "error"
    assert simulator.stats()["requests"] == 1


def test_before_the_first_part_it_is_tried_again_and_refused_with_a_status(desk: Desk, begin: Begin) -> None:
    served, simulator = begin(latency=0.05, rate_limit_rate=0.5, seed=3)
    desk.write("laneway.toml", CONFIG)
    with to_openai(served) as client:
        for _ in range(3):
            stream = client.chat.completions.create(model="small", messages=HELLO, stream=True)
            assert "".join(part.choices[0].delta.content or "" for part in stream)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nobody", messages=HELLO, stream=True)
    stats = simulator.stats()
    assert (stats["completed"], stats["requests"]) == (3, 3 + stats["rate_limited"])


def test_who_hangs_up_in_the_middle_cancels(desk: Desk, begin: Begin) -> None:
    served, _ = begin(latency=3.0)
    with to_openai(served) as client:
        stream = client.chat.completions.create(model="small", messages=HELLO, stream=True)
        next(iter(stream))
        stream.close()
    give_up = time.monotonic() + 20
    while (task := desk.run("explain", "1", "--json").json)["state"] == "running":
        assert time.monotonic() < give_up
    assert task["state"] == "cancelled"
    assert task["attempts"][0]["latency_s"] < 2.5, "the call was broken off"
