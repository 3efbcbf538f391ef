"""A stream makes the answer that would have come whole, however it is cut into pieces."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.providers.streams.follow import Following
from laneway.server import told
from laneway.simulator.answers import Said
from laneway.simulator.wires.base import Ask, Made
from laneway.simulator.wires.base import Wire as SimulatedWire
from laneway.simulator.wires.chat import Chat
from laneway.simulator.wires.messages import Messages
from laneway.simulator.wires.responses import Responses
from laneway.task import Wire

WIRES: dict[Wire, SimulatedWire] = {
    Wire.CHAT: Chat(),
    Wire.MESSAGES: Messages(),
    Wire.RESPONSES: Responses(),
}
TOOLS: dict[str, Any] = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}},
                    {"id": "2", "type": "function", "function": {"name": "go", "arguments": "{}"}},
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        },
        {"index": 1, "message": {"role": "assistant", "content": "no"}, "logprobs": None, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
BLOCKS: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"a": [1, "ü"]}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 9},
}
ITEMS: dict[str, Any] = {
    "id": "r",
    "object": "response",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "rs", "summary": []},
        {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": "{}", "status": "completed"},
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "so"}]},
    ],
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}


class Heard:
    def __init__(self) -> None:
        self.events = b""

    @property
    def told(self) -> bool:
        return bool(self.events)

    def hear(self, event: bytes, data: Any) -> None:
        self.events += event


def follow(wire: Wire, stream: bytes, cuts: list[int]) -> tuple[Any, bytes]:
    heard = Heard()
    following = Following(wire, heard, lambda event: event)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(places):
        following.feed(stream[start:end])
    answer = following.answer()
    return answer and orjson.loads(answer), heard.events


@pytest.mark.parametrize("wire", WIRES)
@given(text=st.text(min_size=1, max_size=200), cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_the_simulators_streams_make_its_answers(wire: Wire, text: str, cuts: list[int]) -> None:
    ask = Ask("m", "hello", 7, stream=True, stream_usage=True)
    made = Made(ask, Said(text, 9, cut_off=False), 1, 1_700_000_000, 0)
    simulated = WIRES[wire]
    stream = b"".join(simulated.frames(made))
    answer, heard = follow(wire, stream, cuts)
    whole = simulated.answer(made)
    if wire is Wire.CHAT:
        whole["choices"][0].pop("logprobs"), whole["choices"][0]["message"].pop("annotations")
        assert answer["choices"][0]["message"]["content"] == text
        answer["choices"][0]["message"].setdefault("refusal", None)
    assert answer == whole
    assert heard == stream, "what is passed on is what came"
    assert follow(wire, stream.replace(b"\n", b"\r\n"), cuts)[0] == answer


@pytest.mark.parametrize(
    ("wire", "answer"), [(Wire.CHAT, TOOLS), (Wire.MESSAGES, BLOCKS), (Wire.RESPONSES, ITEMS)], ids=["chat", "m", "r"]
)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=8))
def test_a_finished_answer_told_in_pieces_makes_it_again(wire: Wire, answer: dict[str, Any], cuts: list[int]) -> None:
    stream = b"".join(told.events(wire, orjson.dumps(answer), with_usage=True))
    found, _ = follow(wire, stream, cuts)
    if wire is Wire.CHAT:
        found["choices"] = [{"logprobs": None, **choice} for choice in found["choices"]]
        found["choices"][0]["message"].setdefault("content", None)
    assert found == answer


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (Wire.CHAT, {"error": {"message": "too much", "type": "overloaded"}}),
        (Wire.MESSAGES, {"type": "error", "error": {"type": "overloaded_error", "message": "too much"}}),
        (Wire.RESPONSES, {"type": "error", "code": "server_error", "message": "too much"}),
    ],
)
def test_errors_in_a_stream_are_not_passed_on(wire: Wire, error: dict[str, Any]) -> None:
    answer, heard = follow(wire, b"data: " + orjson.dumps(error) + b"\n\n", [])
    assert answer == error
    assert heard == b""


def test_a_stream_that_ends_in_the_middle_is_no_answer() -> None:
    chunk = {"id": "c", "choices": [{"index": 0, "delta": {"content": "so"}}]}
    answer, heard = follow(Wire.CHAT, b"data: " + orjson.dumps(chunk) + b"\n\n", [])
    assert answer is None
    assert heard
