"""Chunks of a chat completion (OpenAI API reference, "The chat completion chunk")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Chat:
    def __init__(self) -> None:
        self.complete = False
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._usage: Any = None

    def add(self, data: Mapping[str, Any]) -> None:
        for name, value in data.items():
            if name not in ("choices", "usage", "object"):
                self._head.setdefault(name, value)
        self._usage = data.get("usage") or self._usage
        for choice in data.get("choices") or ():
            self._add_choice(choice)

    def answer(self) -> dict[str, Any]:
        choices = [self._choices[index] for index in sorted(self._choices)]
        whole = {**self._head, "object": "chat.completion", "choices": choices}
        return whole if self._usage is None else {**whole, "usage": self._usage}

    def _add_choice(self, choice: Mapping[str, Any]) -> None:
        index = choice.get("index", 0)
        known = self._choices.setdefault(
            index, {"index": index, "message": {"role": "assistant", "content": None}, "finish_reason": None}
        )
        _merge(known["message"], choice.get("delta") or {})
        for field, entries in (choice.get("logprobs") or {}).items():
            if entries:
                known.setdefault("logprobs", {}).setdefault(field, []).extend(entries)
        if choice.get("finish_reason"):
            known["finish_reason"] = choice["finish_reason"]
            self.complete = True


def _merge(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Texts grow, calls of tools grow each by its place, all else is said once."""
    for name, value in delta.items():
        if name == "tool_calls":
            for call in value or ():
                _merge_call(message.setdefault("tool_calls", []), call)
        elif isinstance(value, str) and name != "role":
            message[name] = (message.get(name) or "") + value
        elif value is not None or name not in message:
            message[name] = value


def _merge_call(calls: list[dict[str, Any]], delta: Mapping[str, Any]) -> None:
    at = delta.get("index", len(calls))
    while len(calls) <= at:
        calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[at]
    call["id"] = delta.get("id") or call["id"]
    call["type"] = delta.get("type") or call["type"]
    function = delta.get("function") or {}
    call["function"]["name"] += function.get("name") or ""
    call["function"]["arguments"] += function.get("arguments") or ""
