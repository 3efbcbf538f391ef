"""Events of an Anthropic message (Anthropic API reference, "Streaming messages")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

_GROWS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class Message:
    def __init__(self) -> None:
        self.complete = False
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}  # JSON in the making

    def add(self, data: Mapping[str, Any]) -> None:
        match data.get("type"):
            case "message_start":
                self._message = dict(data["message"])
            case "content_block_start":
                self._blocks[data["index"]] = dict(data["content_block"])
            case "content_block_delta":
                self._grow(data["index"], data["delta"])
            case "message_delta":
                self._message.update(data.get("delta") or {})
                self._message["usage"] = {**(self._message.get("usage") or {}), **(data.get("usage") or {})}
            case "message_stop":
                self.complete = True

    def answer(self) -> dict[str, Any]:
        for index, said in self._inputs.items():
            self._blocks[index]["input"] = orjson.loads(said or "{}")
        return {**self._message, "content": [self._blocks[index] for index in sorted(self._blocks)]}

    def _grow(self, index: int, delta: Mapping[str, Any]) -> None:
        block, kind = self._blocks[index], delta.get("type")
        if kind in _GROWS:
            block[_GROWS[kind]] = (block.get(_GROWS[kind]) or "") + delta[_GROWS[kind]]
        elif kind == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
