"""Chat Completions' functions as Anthropic's tools, and calls and their results in both directions.

Sources: OpenAI API reference, "Chat"; Anthropic API reference, "Messages", and its guide "Tool use" (results stand
together in the message after their calls; ``any`` is what OpenAI calls ``required``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from laneway.providers.translate.fields import named

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}


def untranslatable(body: Mapping[str, Any]) -> str | None:
    """What of the tools that a body offers Anthropic Messages cannot take."""
    tools = body.get("tools") or ()
    for tool in tools:
        if tool["type"] != "function":
            return f"a tool of type {named(tool['type'])}"
        if not isinstance(tool["function"]["name"], str):
            return "a tool without a name"
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        if choice.get("type") != "function":
            return f"a tool_choice of type {named(choice.get('type'))}"
    elif choice is not None and choice not in _CHOICES:
        return f"tool_choice {named(choice)}"
    return "a tool_choice without tools" if choice not in (None, "auto", "none") and not tools else None


def untranslatable_calls(message: Mapping[str, Any]) -> str | None:
    """What of the calls in an assistant's message cannot be carried over."""
    for call in message.get("tool_calls") or ():
        if call["type"] != "function":
            return f"a call of type {named(call['type'])}"
        if not isinstance(orjson.loads(call["function"]["arguments"] or "{}"), dict):
            return "a call whose arguments are no object"
    return None


def tools(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a Messages body that offer tools; none where there are none."""
    offered = [_tool(tool["function"]) for tool in body.get("tools") or ()]
    if not offered:
        return {}
    made: dict[str, Any] = {"tools": offered}
    wanted = body.get("tool_choice")
    choice = None
    if isinstance(wanted, Mapping):
        choice = {"type": "tool", "name": wanted["function"]["name"]}
    elif wanted is not None:
        choice = {"type": _CHOICES[wanted]}
    if body.get("parallel_tool_calls") is False and (choice is None or choice["type"] != "none"):
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return made | ({"tool_choice": choice} if choice else {})


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("strict"):
        made["strict"] = True
    return made


def uses(calls: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """An assistant's calls as parts of its message."""
    return [
        {
            "type": "tool_use",
            "id": call["id"],
            "name": call["function"]["name"],
            "input": orjson.loads(call["function"]["arguments"] or "{}"),
        }
        for call in calls
    ]


def add_result(messages: list[dict[str, Any]], message: Mapping[str, Any]) -> None:
    """Put what a tool returned into the message that follows its call, with the results of the other calls there."""
    content = message.get("content")
    text = content if isinstance(content, str) else "".join(part["text"] for part in content or ())
    result = {"type": "tool_result", "tool_use_id": message["tool_call_id"], **({"content": text} if text else {})}
    last = messages[-1]["content"] if messages and messages[-1]["role"] == "user" else None
    if isinstance(last, list) and last and last[0]["type"] == "tool_result":
        last.append(result)
    else:
        messages.append({"role": "user", "content": [result]})


def calls(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The calls in a Messages answer."""
    return [
        {
            "id": part["id"],
            "type": "function",
            "function": {"name": part["name"], "arguments": orjson.dumps(part.get("input") or {}).decode()},
        }
        for part in parts
        if part.get("type") == "tool_use"
    ]
