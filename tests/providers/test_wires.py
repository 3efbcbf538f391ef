"""Requests out and answers in, in both formats."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from laneway.providers import chat, messages, translate
from laneway.providers.model import Model
from laneway.providers.validate import OutputCheck
from laneway.task import FailureClass, Spec, Usage, Wire

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
PLAIN = Spec("chat", Wire.CHAT)
STRUCTURED = Spec("chat", Wire.CHAT, output_schema=SCHEMA)
MODEL = Model("small", "gpt-4o-mini", (), params={"temperature": 0, "top_p": 0.5})
BODY: dict[str, Any] = {
    "model": "x",
    "messages": [{"role": "user", "content": "hi"}],
    "temperature": 1,
    "max_tokens": 5,
}


def test_a_body_passes_but_for_model_and_params_laid_under() -> None:
    made = chat.request(orjson.dumps(BODY), MODEL, PLAIN)
    assert made == {**BODY, "model": "gpt-4o-mini", "top_p": 0.5}


@pytest.mark.parametrize("model_id", ["o3-mini", "gpt-5.1", "openai/gpt-5"])
def test_models_that_want_max_completion_tokens_get_it(model_id: str) -> None:
    made = chat.request(orjson.dumps(BODY), Model("m", model_id, ()), PLAIN)
    assert "max_tokens" not in made
    assert made["max_completion_tokens"] == 5


def test_a_schema_is_asked_for_in_the_providers_own_way() -> None:
    made = chat.request(orjson.dumps(BODY), MODEL, STRUCTURED)
    assert made["response_format"]["json_schema"] == {"name": "answer", "schema": SCHEMA, "strict": True}
    loose = Spec("chat", Wire.CHAT, output_schema={"type": "object", "properties": {"a": {}}})
    assert chat.request(orjson.dumps(BODY), MODEL, loose)["response_format"]["json_schema"]["strict"] is False
    assert chat.request(orjson.dumps(BODY), MODEL, STRUCTURED, strict_schema=False)["response_format"] == {
        "type": "json_object"
    }
    assert messages.request(orjson.dumps(BODY), MODEL, STRUCTURED)["output_config"]["format"]["schema"] == SCHEMA


def test_a_complaint_is_put_to_the_model() -> None:
    made = chat.request(orjson.dumps(BODY), MODEL, PLAIN, complaint="not JSON")
    assert len(made["messages"]) == 2
    assert "not JSON" in made["messages"][1]["content"]


def test_usage_as_each_provider_counts_it() -> None:
    said = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    assert chat.usage({"usage": said}) == Usage(10, 5, 4)
    assert chat.usage({}) is None
    said = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}
    assert messages.usage({"usage": said}) == Usage(9, 5, 4)


def test_chat_becomes_messages() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    body = {
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "look"}, picture]},
            {"role": "assistant", "content": "yes"},
        ],
        "max_completion_tokens": 9, "stop": "END", "temperature": 0.2, "user": "u1",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
    }  # fmt: skip
    made = translate.to_messages(body)
    assert made["system"] == "be brief"
    assert made["max_tokens"] == 9
    assert made["stop_sequences"] == ["END"]
    assert made["metadata"] == {"user_id": "u1"}
    assert made["output_config"]["format"]["schema"] == SCHEMA
    assert made["messages"][0]["content"][1]["source"] == {"type": "base64", "media_type": "image/png", "data": "AA=="}
    assert made["messages"][1] == {"role": "assistant", "content": "yes"}


def test_the_answer_comes_back_as_chat() -> None:
    answer = {
        "id": "msg_1",
        "model": "claude",
        "content": [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}],
        "stop_reason": "max_tokens",
        "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 1},
    }
    made = orjson.dumps(translate.to_chat_answer(answer))
    assert chat.answer_text(Wire.CHAT, made) == "hello"
    assert chat.was_cut(Wire.CHAT, made)
    assert chat.usage(orjson.loads(made)) == Usage(4, 2, 1)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"tools": []}, "'tools'"),
        ({"n": 2}, "'n'"),
        ({"logprobs": True}, "'logprobs'"),
        ({"response_format": {"type": "json_object"}}, "json_object"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "role 'tool'"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input_audio"),
    ],
)
def test_what_cannot_be_carried_over_is_named(more: dict[str, Any], what: str) -> None:
    found = translate.untranslatable({**BODY, **more})
    assert found is not None
    assert what in found
    assert translate.untranslatable(BODY) is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"a": 1}', None),
        ('```json\n{"a": 1}\n```', None),
        ("a: 1", "not_json"),
        ('{"a": "x"}', "schema"),
        ("{}", "schema"),
    ],
)
def test_answers_are_checked_against_the_schema(text: str, code: str | None) -> None:
    output = orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    failure = OutputCheck()(STRUCTURED, output)
    assert (failure and failure.code) == code
    if failure:
        assert failure.cls is FailureClass.OUTPUT
    assert OutputCheck()(PLAIN, output) is None


def test_an_answer_that_was_cut_off_says_so() -> None:
    output = orjson.dumps({"choices": [{"message": {"content": '{"a"'}, "finish_reason": "length"}]})
    failure = OutputCheck()(STRUCTURED, output)
    assert failure is not None
    assert failure.code == "truncated"
