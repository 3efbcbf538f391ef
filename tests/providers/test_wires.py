"""Requests out and answers in, in both formats."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from laneway.providers import chat, messages
from laneway.providers.answers.complaints import Complaint
from laneway.providers.answers.validate import OutputCheck
from laneway.providers.model import Model
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


def no_code(reference: str) -> None:
    raise AssertionError(f"no check names {reference}")


def test_a_body_passes_but_for_model_and_params_laid_under() -> None:
    made = chat.finish(dict(BODY), MODEL)
    assert made == {**BODY, "model": "gpt-4o-mini", "top_p": 0.5}


@pytest.mark.parametrize("model_id", ["o3-mini", "gpt-5.1", "openai/gpt-5", "gpt-6-sol", "gpt-6.2-astra"])
def test_models_that_want_max_completion_tokens_get_it(model_id: str) -> None:
    made = chat.finish(dict(BODY), Model("m", model_id, ()))
    assert "max_tokens" not in made
    assert made["max_completion_tokens"] == 5


@pytest.mark.parametrize("model_id", ["gpt-4o", "gpt-4.1-mini", "gpt-35-turbo", "gpt-oss-120b", "openai/gpt-oss-20b"])
def test_others_keep_max_tokens(model_id: str) -> None:
    assert chat.finish(dict(BODY), Model("m", model_id, ()))["max_tokens"] == 5


def test_a_complaint_shows_the_model_its_answer_and_the_fault() -> None:
    said = Complaint("small", "not_json", "it breaks off", '{"half')
    for made in (
        chat.finish(dict(BODY), MODEL, complaint=said),
        messages.finish(dict(BODY), MODEL, complaint=said),
    ):
        assert made["messages"][:2] == [*BODY["messages"], {"role": "assistant", "content": '{"half'}]
        assert made["messages"][2]["role"] == "user"
        assert "it breaks off" in made["messages"][2]["content"]
    empty = chat.finish(dict(BODY), MODEL, complaint=Complaint("small", "not_json", "empty"))
    assert [message["role"] for message in empty["messages"]] == ["user", "user"], "an empty turn would be refused"


def test_usage_as_each_provider_counts_it() -> None:
    said = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
    assert chat.usage({"usage": said}) == Usage(10, 5, 4)
    assert chat.usage({}) is None
    said = {"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 2}
    assert messages.usage({"usage": said}) == Usage(9, 5, 4, 2)


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
    failure = OutputCheck(no_code)(STRUCTURED, b"{}", output)
    assert (failure and failure.code) == code
    if failure:
        assert failure.cls is FailureClass.OUTPUT
    assert OutputCheck(no_code)(PLAIN, b"{}", output) is None


def test_an_answer_that_was_cut_off_says_so() -> None:
    output = orjson.dumps({"choices": [{"message": {"content": '{"a"'}, "finish_reason": "length"}]})
    failure = OutputCheck(no_code)(STRUCTURED, b"{}", output)
    assert failure is not None
    assert failure.code == "truncated"
