"""Functions that a request offers, and which of them the simulated model calls.

To each question it calls each one once, one a request, in the order in which they are offered; then it answers, or,
where it must call, calls the last one again. Sources: OpenAI API reference, "Chat", and its guide to function calling;
Anthropic API reference, "Messages", and its guide "Tool use".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from laneway.simulator.wires.base import ANY_OBJECT


@dataclass(frozen=True, slots=True)
class Tool:
    name: str
    parameters: Any  # JSON Schema of its arguments


def tool_to_call(body: Mapping[str, Any]) -> Tool | None:
    """None: the model answers in words. Raises ValueError in words that the client is told."""
    called = _called(body.get("messages") or [])
    tools = [_tool(tool, at) for at, tool in enumerate(body.get("tools") or ())]
    choice = body.get("tool_choice") or "auto"
    if not tools:
        if body.get("tool_choice") is not None:
            raise ValueError(
                "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
            )
        return None
    if choice == "none":
        return None
    if isinstance(choice, Mapping):
        return _named(tools, (choice.get("function") or {}).get("name"))
    if choice not in ("auto", "required"):
        raise ValueError(f"Invalid value for 'tool_choice': {choice!r}.")
    return _next(tools, called, must=choice == "required")


def tool_to_use(body: Mapping[str, Any]) -> Tool | None:
    """The same of an Anthropic Messages request."""
    called = _used(body.get("messages") or [])
    tools = [_used_tool(tool, at) for at, tool in enumerate(body.get("tools") or ())]
    choice = body.get("tool_choice") or {"type": "auto"}
    if not tools:
        if body.get("tool_choice") is not None:
            raise ValueError("tool_choice: Tools must be provided when tool_choice is specified")
        return None
    match choice:
        case {"type": "none"}:
            return None
        case {"type": "tool", "name": str(name)}:
            return _named(tools, name)
        case {"type": ("auto" | "any") as kind}:
            return _next(tools, called, must=kind == "any")
    raise ValueError("tool_choice.type: Input should be 'auto', 'any', 'tool' or 'none'")


def _next(tools: list[Tool], called: set[str], *, must: bool) -> Tool | None:
    new = next((tool for tool in tools if tool.name not in called), None)
    return tools[-1] if new is None and must else new


def _used_tool(given: Any, at: int) -> Tool:
    match given:
        case {"name": str(name), "input_schema": schema}:
            return Tool(name, schema)
    raise ValueError(f"tools.{at}.custom: name and input_schema are required")


def _used(messages: list[Any]) -> set[str]:
    """The tools used since the last question. Raises ValueError where a use and its result do not stand together."""
    names: set[str] = set()
    open_: set[str] = set()
    for at, message in enumerate(messages):
        parts = [part for part in _parts(message) if isinstance(part, Mapping)]
        results = {str(part.get("tool_use_id")) for part in parts if part.get("type") == "tool_result"}
        if missing := open_ - results:
            raise ValueError(
                f"messages.{at - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(sorted(missing))}"
            )
        if strange := results - open_:
            raise ValueError(f"messages.{at}: unexpected `tool_use_id` found in `tool_result` blocks: {min(strange)}")
        if not results and isinstance(message, Mapping) and message.get("role") == "user":
            names.clear()
        uses = [part for part in parts if part.get("type") == "tool_use"]
        open_ = {str(part.get("id")) for part in uses}
        names |= {str(part.get("name")) for part in uses}
    if open_:
        raise ValueError(f"messages.{len(messages) - 1}: `tool_use` ids were found without `tool_result` blocks")
    return names


def _parts(message: Any) -> list[Any]:
    content = message.get("content") if isinstance(message, Mapping) else None
    return content if isinstance(content, list) else []


def _tool(given: Any, at: int) -> Tool:
    match given:
        case {"function": {"name": str(name), **rest}}:
            return Tool(name, rest.get("parameters") or ANY_OBJECT)
    raise ValueError(f"Missing required parameter: 'tools[{at}].function.name'.")


def _named(tools: list[Tool], name: Any) -> Tool:
    for tool in tools:
        if tool.name == name:
            return tool
    raise ValueError(f"Invalid value for 'tool_choice': no tool is called {name!r}.")


def _called(messages: list[Any]) -> set[str]:
    """The functions called since the last question. Raises ValueError where a call and its answer do not stand
    together."""
    names: set[str] = set()
    open_: set[str] = set()
    role: Any = None
    for message in messages:
        if not isinstance(message, Mapping):
            continue
        before, role = role, message.get("role")
        if role == "user" and before != "tool":  # what follows a function's answer belongs to it
            names.clear()
        if role == "tool":
            if message.get("tool_call_id") not in open_:
                raise ValueError("messages with role 'tool' must respond to a preceding message with 'tool_calls'.")
            open_.discard(message["tool_call_id"])
            continue
        _refuse_open(open_)
        for id_, name in _calls(message):
            open_.add(id_)
            names.add(name)
    _refuse_open(open_)
    return names


def _calls(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for call in message.get("tool_calls") or ():
        match call:
            case {"id": str(id_), "function": {"name": str(name)}}:
                yield id_, name
            case _:
                raise ValueError("Invalid value for 'tool_calls': expected objects with an id and a function.")


def _refuse_open(open_: set[str]) -> None:
    if open_:
        raise ValueError(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(sorted(open_))}"
        )
