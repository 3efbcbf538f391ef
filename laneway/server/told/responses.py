"""A finished response as the events of a stream (OpenAI API reference, "Responses streaming")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from laneway.server.told.event import named

_EMPTY: Mapping[str, dict[str, Any]] = {"message": {"content": []}, "function_call": {"arguments": ""}}


def events(answer: Mapping[str, Any]) -> Iterator[bytes]:
    for number, event in enumerate(_events(answer)):
        yield named({**event, "sequence_number": number})


def _events(answer: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for at, item in enumerate(answer.get("output") or ()):
        kind = item.get("type")
        empty = _EMPTY.get(str(kind), {})
        yield {
            "type": "response.output_item.added",
            "output_index": at,
            "item": {**item, "status": "in_progress", **empty},
        }
        if kind == "message":
            for part_at, part in enumerate(item.get("content") or ()):
                place = {"item_id": item.get("id", ""), "output_index": at, "content_index": part_at}
                yield from _part(part, place)
        elif kind == "function_call":
            place = {"item_id": item.get("id", ""), "output_index": at}
            given = item.get("arguments", "")
            yield {"type": "response.function_call_arguments.delta", **place, "delta": given}
            name = item.get("name", "")
            yield {"type": "response.function_call_arguments.done", **place, "arguments": given, "name": name}
        yield {"type": "response.output_item.done", "output_index": at, "item": item}
    last = "response.incomplete" if answer.get("status") == "incomplete" else "response.completed"
    yield {"type": last, "response": answer}


def _part(part: Mapping[str, Any], place: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    field = "refusal" if part.get("type") == "refusal" else "text"
    kind = "response.refusal" if field == "refusal" else "response.output_text"
    more: dict[str, Any] = {} if field == "refusal" else {"logprobs": []}
    said = part.get(field, "")
    yield {"type": "response.content_part.added", **place, "part": {**part, field: ""}}
    yield {"type": f"{kind}.delta", **place, "delta": said, **more}
    yield {"type": f"{kind}.done", **place, field: said, **more}
    yield {"type": "response.content_part.done", **place, "part": part}
