"""Answers on their way back, read by the providers' own types."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from laneway.providers import chat, messages, responses
from laneway.providers.chat import answer_text, was_cut
from laneway.providers.translate import translate_answer
from laneway.task import Usage, Wire

OF_MESSAGES: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "hel"},
        {"type": "text", "text": "lo"},
    ],
    "stop_reason": "max_tokens",
    "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 5},
}
OF_CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 5,
    "model": "gpt",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "length"}],
    "usage": {
        "prompt_tokens": 12,
        "completion_tokens": 2,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 5},
    },
}
USED = Usage(12, 2, 4, 5)


def test_of_messages_as_chat() -> None:
    made = translate_answer(Wire.CHAT, Wire.MESSAGES, OF_MESSAGES)
    ChatCompletion.model_validate(made)
    assert answer_text(Wire.CHAT, orjson.dumps(made)) == "hello"
    assert was_cut(Wire.CHAT, orjson.dumps(made))
    assert chat.usage(made) == messages.usage(OF_MESSAGES) == USED


def test_calls_of_messages_as_chat() -> None:
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}}
    for words in ([], [{"type": "text", "text": "Let me see."}]):
        answer = {**OF_MESSAGES, "content": [*words, use], "stop_reason": "tool_use"}
        made = translate_answer(Wire.CHAT, Wire.MESSAGES, answer)
        choice = ChatCompletion.model_validate(made).choices[0]
        assert choice.finish_reason == "tool_calls"
        assert choice.message.content == ("Let me see." if words else None)
        assert made["choices"][0]["message"]["tool_calls"] == [
            {"id": "toolu_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
        ]


def test_of_chat_as_messages() -> None:
    made = translate_answer(Wire.MESSAGES, Wire.CHAT, OF_CHAT)
    Message.model_validate(made)
    assert answer_text(Wire.MESSAGES, orjson.dumps(made)) == "hello"
    assert was_cut(Wire.MESSAGES, orjson.dumps(made))
    assert messages.usage(made) == chat.usage(OF_CHAT) == USED
    assert made["usage"]["input_tokens"] == 3, "Anthropic counts apart what was read from and written to the cache"


@pytest.mark.parametrize(("sent", "answer"), [(Wire.CHAT, OF_CHAT), (Wire.MESSAGES, OF_MESSAGES)])
def test_of_others_as_responses(sent: Wire, answer: dict[str, Any]) -> None:
    made = translate_answer(Wire.RESPONSES, sent, answer)
    Response.model_validate(made)
    assert answer_text(Wire.RESPONSES, orjson.dumps(made)) == "hello"
    assert was_cut(Wire.RESPONSES, orjson.dumps(made))
    assert made["incomplete_details"] == {"reason": "max_output_tokens"}
    assert responses.usage(made) == USED


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason", "back"),
    [
        ("end_turn", "stop", "end_turn"),
        ("stop_sequence", "stop", "end_turn"),
        ("max_tokens", "length", "max_tokens"),
        ("model_context_window_exceeded", "length", "max_tokens"),
        ("refusal", "content_filter", "refusal"),
    ],
)
def test_why_an_answer_ended(stop_reason: str, finish_reason: str, back: str) -> None:
    made = translate_answer(Wire.CHAT, Wire.MESSAGES, {**OF_MESSAGES, "stop_reason": stop_reason})
    assert made["choices"][0]["finish_reason"] == finish_reason
    assert translate_answer(Wire.MESSAGES, Wire.CHAT, made)["stop_reason"] == back
