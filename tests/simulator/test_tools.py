"""The simulated model calls what functions it is offered, and holds its clients to the rules of calling."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from anthropic.types import Message
from jsonschema import validate
from openai.types.chat import ChatCompletion

from tests.simulator.client import simulated

SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
USER = {"role": "user", "content": "Which invoices are open?"}


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": SCHEMA}}


def said(*calls: tuple[str, str]) -> dict[str, Any]:
    """What an assistant said, as (id, function)."""
    made = [{"id": id_, "type": "function", "function": {"name": name, "arguments": "{}"}} for id_, name in calls]
    return {"role": "assistant", "content": None, "tool_calls": made}


def result(id_: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": "7"}


async def test_each_function_is_called_once_in_its_order_and_then_answered() -> None:
    messages: list[dict[str, Any]] = [USER]
    called = []
    async with simulated() as client:
        for _ in range(3):
            answer = await client.post(
                "/chat/completions", {"model": "m", "messages": messages, "tools": [tool("find"), tool("count")]}
            )
            choice = ChatCompletion.model_validate(answer.json).choices[0]
            if not choice.message.tool_calls:
                break
            assert choice.finish_reason == "tool_calls"
            [call] = answer.json["choices"][0]["message"]["tool_calls"]
            validate(orjson.loads(call["function"]["arguments"]), SCHEMA)
            called.append(call["function"]["name"])
            messages += [answer.json["choices"][0]["message"], result(call["id"])]
        stats = await client.stats()
    assert called == ["find", "count"]
    assert choice.finish_reason == "stop"
    assert choice.message.content
    assert stats["completed"] == 3


@pytest.mark.parametrize(
    ("choice", "before", "called"),
    [
        ("required", [], "find"),
        ("required", [said(("a", "find")), result("a"), said(("b", "end")), result("b")], "end"),
        ("required", [said(("a", "find")), result("a"), USER], "end"),  # a file that the function returned, say
        ("auto", [said(("a", "find")), result("a"), {"role": "assistant", "content": "7"}, USER], "find"),
        ({"type": "function", "function": {"name": "end"}}, [], "end"),
        ("none", [], None),
    ],
)
async def test_the_choice_can_be_taken_from_the_model(choice: Any, before: list[Any], called: Any) -> None:
    body = {"model": "m", "messages": [USER, *before], "tools": [tool("find"), tool("end")], "tool_choice": choice}
    async with simulated() as client:
        message = (await client.post("/chat/completions", body)).json["choices"][0]["message"]
    calls = message.get("tool_calls")
    assert (calls[0]["function"]["name"] if calls else None) == called


async def test_a_call_comes_in_a_stream_too() -> None:
    body = {"model": "m", "messages": [USER], "tools": [tool("find")]}
    async with simulated() as client:
        events = await client.stream("/chat/completions", body)
    deltas = [orjson.loads(data)["choices"][0] for _, data in events if data != "[DONE]"]
    [call] = next(delta["delta"]["tool_calls"] for delta in deltas if "tool_calls" in delta["delta"])
    assert call["function"]["name"] == "find"
    assert deltas[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"messages": [USER, said(("a", "find")), USER]}, "did not have response messages: a"),
        ({"messages": [USER, said(("a", "find"), ("b", "find")), result("a")]}, "did not have response messages: b"),
        ({"messages": [USER, result("a")]}, "must respond to a preceding message"),
        ({"messages": [USER], "tool_choice": "auto"}, "only allowed when 'tools' are specified"),
        ({"messages": [USER], "tools": [{}]}, "tools[0].function.name"),
        ({"messages": [USER], "tools": [tool("find")], "tool_choice": {"function": {"name": "x"}}}, "called 'x'"),
        ({"messages": [USER], "tools": [tool("find")], "tool_choice": "any"}, "'any'"),
    ],
)
async def test_calls_and_answers_that_do_not_fit_are_refused(body: dict[str, Any], words: str) -> None:
    async with simulated() as client:
        answer = await client.post("/chat/completions", {"model": "m", **body})
    assert answer.status == 400
    assert words in answer.json["error"]["message"]


USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "find", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "7"}]}
TOOLS = [{"name": name, "input_schema": SCHEMA} for name in ("find", "end")]


@pytest.mark.parametrize(
    ("choice", "before", "called"),
    [
        (None, [], "find"),
        ({"type": "auto"}, [USE, RESULT], "end"),
        ({"type": "auto"}, [USE, RESULT, {"role": "assistant", "content": "7"}, USER], "find"),
        ({"type": "any"}, [USE, RESULT], "end"),
        ({"type": "tool", "name": "end"}, [], "end"),
        ({"type": "none"}, [], None),
    ],
)
async def test_anthropics_format_has_tools_too(choice: Any, before: list[Any], called: Any) -> None:
    body = {"model": "m", "max_tokens": 99, "messages": [USER, *before], "tools": TOOLS, "tool_choice": choice}
    async with simulated() as client:
        answer = await client.post("/messages", body)
        events = await client.stream("/messages", body)
    message = Message.model_validate(answer.json)
    assert message.stop_reason == ("tool_use" if called else "end_turn")
    assert [part.name for part in message.content if part.type == "tool_use"] == ([called] if called else [])
    told = "".join(orjson.loads(data)["delta"].get("partial_json", "") for kind, data in events if "delta" in kind)
    assert bool(told) is bool(called)
    if called:
        validate(answer.json["content"][0]["input"], SCHEMA)
        validate(orjson.loads(told), SCHEMA)


@pytest.mark.parametrize(
    ("messages", "more", "words"),
    [
        ([USER, USE, USER], {}, "without `tool_result` blocks immediately after: a"),
        ([USER, USE], {}, "without `tool_result` blocks"),
        ([USER, RESULT], {}, "unexpected `tool_use_id`"),
        ([USER], {"tools": [{}]}, "name and input_schema are required"),
        ([USER], {"tools": [], "tool_choice": {"type": "auto"}}, "Tools must be provided"),
        ([USER], {"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ],
)
async def test_uses_and_results_that_do_not_fit_are_refused(messages: Any, more: Any, words: str) -> None:
    async with simulated() as client:
        answer = await client.messages(**{"messages": messages, "tools": TOOLS, **more})
    assert answer.status == 400
    assert words in answer.json["error"]["message"]
