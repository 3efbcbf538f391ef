"""Chat Completions answers as pydantic-ai's responses, and back into the conversation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.usage import RequestUsage

from laneway.flows.agents.answer import model_response
from laneway.flows.agents.request import request_body
from tests.flows.agents.script import answer, text


def _thought(said: str, field: str) -> ThinkingPart:
    return ThinkingPart(said, id=field, provider_name="laneway")


def test_the_books_of_an_answer() -> None:
    used = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    response = model_response(answer({"content": "yes"}, usage=used), "strong")
    assert response.usage == RequestUsage(
        input_tokens=100,
        output_tokens=20,
        cache_read_tokens=60,
        cache_write_tokens=5,
        output_reasoning_tokens=12,
        details={"reasoning_tokens": 12},
    )
    assert response.model_name == "m-2026"
    assert response.provider_response_id == "chatcmpl-1"
    assert response.timestamp == datetime.fromtimestamp(1_800_000_000, UTC)
    assert model_response({**text("yes"), "model": None}, "strong").model_name == "strong"
    assert model_response({**text("yes"), "usage": None}, "strong").usage.unmeasured_requests == 1


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_call"), ("content_filter", "content_filter"),
     (None, "stop"), ("guardrail", None)],
)  # fmt: skip
def test_why_an_answer_ended(finish: Any, reason: Any) -> None:
    assert model_response(answer({"content": "x"}, finish), "m").finish_reason == reason


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "yes"}, [TextPart("yes")]),
        ({"content": [{"type": "text", "text": "ye"}, {"type": "text", "text": "s"}]}, [TextPart("yes")]),
        ({"content": "<think>\nhm\n</think>\n\nyes"}, [_thought("hm", "content"), TextPart("yes")]),
        (
            {"content": "yes", "reasoning": "hm", "reasoning_content": "hm"},
            [_thought("hm", "reasoning"), TextPart("yes")],
        ),
        ({"content": None, "refusal": "I will not"}, []),
        ({"content": ""}, []),
    ],
)
def test_what_an_answer_is_made_of(message: dict[str, Any], parts: list[Any]) -> None:
    response = model_response(answer(message), "m")
    assert response.parts == parts
    assert (response.finish_reason == "content_filter") is bool(message.get("refusal"))


@pytest.mark.parametrize("broken", [{}, {"choices": None}, {"choices": [{}]}, {"error": "x"}])
def test_what_is_no_answer(broken: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedModelBehavior):
        model_response(broken, "m")


def test_a_call_of_something_else_than_a_function() -> None:
    with pytest.raises(UnexpectedModelBehavior, match="no function"):
        model_response(answer({"tool_calls": [{"id": "a", "type": "custom", "custom": {}}]}), "m")


words = st.text(min_size=1, max_size=20)
names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
arguments = st.dictionaries(
    names, st.one_of(words, st.integers(-(2**53), 2**53), st.none(), st.lists(words)), max_size=4
)
call: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda id_, name, given: {
        "id": id_,
        "type": "function",
        "function": {"name": name, "arguments": orjson.dumps(given).decode()},
    },
    names,
    names,
    arguments,
)
fields: dict[str, st.SearchStrategy[Any]] = {
    "reasoning_content": words,
    "tool_calls": st.lists(call, min_size=1, max_size=3, unique_by=lambda made: str(made["id"])),
}
content: st.SearchStrategy[Any] = st.one_of(st.none(), words.filter(lambda said: "<think" not in said))
messages = st.fixed_dictionaries({"content": content}, optional=fields)


@given(messages)
def test_what_was_answered_is_told_again_as_it_was(message: dict[str, Any]) -> None:
    response = model_response(answer(message), "m")
    again = request_body([response], {}, ModelRequestParameters())["messages"]
    if not message["content"] and not message.get("tool_calls"):
        assert again == []
        return
    assert again == [{"role": "assistant", **message}]


@given(messages)
def test_an_answer_read_twice_is_the_same(message: dict[str, Any]) -> None:
    for made in message.get("tool_calls", ()):
        made["id"] = ""
    first, second = (model_response(answer(message), "m") for _ in range(2))
    assert first.parts == second.parts
    ids = [part.tool_call_id for part in first.parts if isinstance(part, ToolCallPart)]
    assert len(set(ids)) == len(ids)
    assert isinstance(first, ModelResponse)
