"""OpenAI Responses. Source: OpenAI API reference, "Responses" and "Responses streaming"."""

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
    plain,
    text_of,
)
from laneway.simulator.wires.openai import OpenAIWire
from laneway.simulator.wires.parts import attached_tokens, refuse_unknown

_PARTS = ("input_text", "input_image", "input_file", "output_text", "refusal")


class Responses(OpenAIWire):
    streams = True

    def understand(self, body: Mapping[str, Any]) -> Ask:
        given = body.get("input")
        asked = given if isinstance(given, str) and given else text_of(given, "input")
        text = plain(body.get("instructions")) + asked
        refuse_unknown(given, "input", _PARTS)
        return Ask(
            model_of(body),
            text,
            input_tokens(text, attached_tokens(given)),
            limit_of(body, "max_output_tokens"),
            _schema(mapping_in(mapping_in(body, "text"), "format")),
            bool(body.get("stream")),
        )

    def answer(self, made: Made) -> dict[str, Any]:
        cut = made.said.cut_off
        return _head(made, "incomplete" if cut else "completed") | {
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": [_message(made)],
            "usage": _usage(made),
        }

    def frames(self, made: Made) -> list[bytes]:
        events: list[dict[str, Any]] = []
        place = {"item_id": f"msg_sim{made.number}", "output_index": 0, "content_index": 0}
        part = {"type": "output_text", "text": "", "annotations": []}
        begun = _head(made, "in_progress")
        item = {**_message(made), "status": "in_progress", "content": []}
        events.append({"type": "response.created", "response": begun})
        events.append({"type": "response.in_progress", "response": begun})
        events.append({"type": "response.output_item.added", "output_index": 0, "item": item})
        events.append({"type": "response.content_part.added", **place, "part": part})
        for piece in pieces(made.said.text):
            events.append({"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []})
        text = made.said.text
        events.append({"type": "response.output_text.done", **place, "text": text, "logprobs": []})
        events.append({"type": "response.content_part.done", **place, "part": {**part, "text": text}})
        events.append({"type": "response.output_item.done", "output_index": 0, "item": _message(made)})
        last = "response.incomplete" if made.said.cut_off else "response.completed"
        events.append({"type": last, "response": self.answer(made)})
        return [frame({**event, "sequence_number": i}, event["type"]) for i, event in enumerate(events)]

    def error_frame(self, error: Mapping[str, Any]) -> bytes:
        said = error["error"]
        told = {"type": "error", "code": said["code"], "message": said["message"], "param": None}
        return frame({**told, "sequence_number": 3}, "error")


def _schema(wanted: Mapping[str, Any]) -> Any:
    match wanted.get("type"):
        case None | "text":
            return None
        case "json_object":
            return ANY_OBJECT
        case "json_schema":
            if wanted.get("schema") is None:
                raise ValueError("Missing required parameter: 'text.format.schema'.")
            return wanted["schema"]
    raise ValueError("Invalid value for 'text.format.type': text, json_object or json_schema.")


def _head(made: Made, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_sim{made.number}",
        "object": "response",
        "created_at": made.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": made.ask.max_tokens,
        "metadata": {},
        "model": made.ask.model,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _message(made: Made) -> dict[str, Any]:
    return {
        "type": "message",
        "id": f"msg_sim{made.number}",
        "status": "incomplete" if made.said.cut_off else "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": made.said.text, "annotations": []}],
    }


def _usage(made: Made) -> dict[str, Any]:
    used, said = made.ask.input_tokens, made.said.tokens
    return {
        "input_tokens": used,
        "input_tokens_details": {"cached_tokens": made.cached, "cache_write_tokens": made.written},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": used + said,
    }
