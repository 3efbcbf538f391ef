"""A model that answers from a script, and keeps what it was asked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import orjson


class Script:
    """One answer after the other; the last one again and again."""

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self._answers = answers
        self.bodies: list[dict[str, Any]] = []
        self.models: list[str] = []

    async def __call__(self, model: str, body: dict[str, Any]) -> Mapping[str, Any]:
        self.models.append(model)
        self.bodies.append(copy.deepcopy(body))
        return self._answers[min(len(self.bodies), len(self._answers)) - 1]


def answer(message: Mapping[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "created": 1_800_000_000,
        "model": "m-2026",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3},
        **more,
    }


def text(said: str) -> dict[str, Any]:
    return answer({"content": said})


def calls(*made: tuple[str, str, Any]) -> dict[str, Any]:
    """An answer that calls tools: (id, name, arguments)."""
    told = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": orjson.dumps(arguments).decode()}}
        for id_, name, arguments in made
    ]
    return answer({"content": None, "tool_calls": told}, "tool_calls")
