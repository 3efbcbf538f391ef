"""OpenAI Chat Completions. Source: OpenAI API reference, "Chat" and "Chat streaming"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laneway.simulator.wires.base import (
    ANY_OBJECT,
    Ask,
    Made,
    frame,
    input_tokens,
    limit_of,
    mapping_in,
    model_of,
    pieces,
    text_of,
)
from laneway.simulator.wires.openai import OpenAIWire
from laneway.simulator.wires.parts import attached_tokens, refuse_unknown
from laneway.simulator.wires.tools import tool_to_call

_PARTS = ("text", "image_url", "input_audio", "file", "refusal")
_FOREIGN = frozenset(("system", "stop_sequences", "output_config", "thinking", "input", "instructions"))


class Chat(OpenAIWire):
    streams = True

    def understand(self, body: Mapping[str, Any]) -> Ask:
        if body.get("n") not in (None, 1):
            raise ValueError("Invalid value for 'n': the simulator gives one answer a request.")
        for name in _FOREIGN & body.keys():
            raise ValueError(f"Unrecognized request argument supplied: {name}")
        messages = body.get("messages")
        text = text_of(messages, "messages")
        refuse_unknown(messages, "messages", _PARTS)
        tool = tool_to_call(body)
        return Ask(
            model_of(body),
            text,
            input_tokens(text, attached_tokens(messages)),
            limit_of(body, "max_completion_tokens", "max_tokens"),
            _schema(mapping_in(body, "response_format")) if tool is None else tool.parameters,
            bool(body.get("stream")),
            bool(mapping_in(body, "stream_options").get("include_usage")),
            tool="" if tool is None else tool.name,
        )

    def answer(self, made: Made) -> dict[str, Any]:
        said: dict[str, Any] = {"content": made.said.text}
        if made.ask.tool:
            said = {"content": None, "tool_calls": [_call(made)]}
        message = {"role": "assistant", **said, "refusal": None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(made)}
        return _head(made, "chat.completion") | {"choices": [choice], "usage": _usage(made)}

    def frames(self, made: Made) -> list[bytes]:
        head = _head(made, "chat.completion.chunk")
        if made.ask.stream_usage:
            head["usage"] = None

        def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return frame({**head, "choices": [choice]})

        told = [chunk({"role": "assistant", "content": "", "refusal": None})]
        if made.ask.tool:
            told.append(chunk({"tool_calls": [{"index": 0, **_call(made)}]}))
        else:
            told += [chunk({"content": piece}) for piece in pieces(made.said.text)]
        told.append(chunk({}, _finish(made)))
        if made.ask.stream_usage:
            told.append(frame({**head, "choices": [], "usage": _usage(made)}))
        return [*told, b"data: [DONE]\n\n"]


def _schema(wanted: Mapping[str, Any]) -> Any:
    match wanted.get("type"):
        case None | "text":
            return None
        case "json_object":
            return ANY_OBJECT
        case "json_schema":
            schema = mapping_in(wanted, "json_schema").get("schema")
            if schema is None:
                raise ValueError("Missing required parameter: 'response_format.json_schema.schema'.")
            return schema
    raise ValueError("Invalid value for 'response_format.type': text, json_object or json_schema.")


def _head(made: Made, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-sim{made.number}",
        "object": kind,
        "created": made.created,
        "model": made.ask.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


def _finish(made: Made) -> str:
    if made.said.cut_off:
        return "length"
    return "tool_calls" if made.ask.tool else "stop"


def _call(made: Made) -> dict[str, Any]:
    function = {"name": made.ask.tool, "arguments": made.said.text}
    return {"id": f"call_sim{made.number}", "type": "function", "function": function}


def _usage(made: Made) -> dict[str, Any]:
    used, said = made.ask.input_tokens, made.said.tokens
    return {
        "prompt_tokens": used,
        "completion_tokens": said,
        "total_tokens": used + said,
        "prompt_tokens_details": {"cached_tokens": made.cached, "cache_write_tokens": made.written, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
