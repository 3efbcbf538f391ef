"""A finished Anthropic message as the events of a stream (Anthropic API reference, "Streaming messages")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from laneway.server.told.event import named


def events(answer: Mapping[str, Any]) -> Iterator[bytes]:
    usage = answer.get("usage") or {}
    begun = {
        **answer,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": 1},
    }
    yield named({"type": "message_start", "message": begun})
    for at, block in enumerate(answer.get("content") or ()):
        empty, deltas = _opened(block)
        yield named({"type": "content_block_start", "index": at, "content_block": empty})
        for delta in deltas:
            yield named({"type": "content_block_delta", "index": at, "delta": delta})
        yield named({"type": "content_block_stop", "index": at})
    ended = {"stop_reason": answer.get("stop_reason"), "stop_sequence": answer.get("stop_sequence")}
    yield named({"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage.get("output_tokens", 0)}})
    yield named({"type": "message_stop"})


def _opened(block: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[dict[str, Any]]]:
    """A content block as it begins, and what is added to it. Kinds without deltas come whole."""
    match block.get("type"):
        case "text":
            told = [{"type": "text_delta", "text": block.get("text", "")}]
            told += [{"type": "citations_delta", "citation": one} for one in block.get("citations") or ()]
            return {**block, "text": ""}, told
        case "tool_use":
            given = orjson.dumps(block.get("input") or {}).decode()
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": given}]
        case "thinking":
            told = [{"type": "thinking_delta", "thinking": block.get("thinking", "")}]
            told.append({"type": "signature_delta", "signature": block.get("signature", "")})
            return {**block, "thinking": "", "signature": ""}, told
        case _:
            return block, []
