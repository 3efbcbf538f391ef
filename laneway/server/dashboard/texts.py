"""What went in and came out of a task, as text: nothing in it is ever followed, fetched or run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from laneway.providers.chat import answer_text
from laneway.task import Task, Wire

LONGEST = 4_000  # characters of a part
MOST = 20  # parts


class Part(NamedTuple):
    role: str
    text: str
    length: int  # of the whole

    @property
    def cut(self) -> bool:
        return self.length > len(self.text)


def shortened(parts: Iterable[tuple[str, str]]) -> list[Part]:
    """The first parts, and of each its beginning."""
    return [Part(role, text[:LONGEST], len(text)) for (role, text), _ in zip(parts, range(MOST), strict=False)]


def whole(parts: Iterable[tuple[str, str]]) -> str:
    return "\n\n".join(f"[{role}]\n{text}" for role, text in parts)


def asked_parts(task: Task) -> list[tuple[str, str]]:
    """(role, text) of the request; of one that says nothing as requests do, the request itself."""
    body = _parsed(task.body)
    if not isinstance(body, dict) or task.wire is Wire.PYTHON:
        return [("arguments", _pretty(body))]
    return list(_of_request(task.wire, body)) or [("request", _pretty(body))]


def answered_parts(task: Task) -> list[tuple[str, str]]:
    """Of the answer; tool calls and what else has no text as JSON."""
    if task.output is None:
        return []
    if task.wire is Wire.PYTHON:
        return [("result", _pretty(_parsed(task.output)))]
    try:
        text = answer_text(task.wire, task.output)
    except (AttributeError, LookupError, TypeError, ValueError):  # whatever a provider may have sent
        text = ""
    return [("answer", text or _pretty(_parsed(task.output)))]


def _of_request(wire: Wire, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in ("system", "instructions"):
        if body.get(name):
            yield "system", _content(body[name])
    turns = body.get("messages" if wire in (Wire.CHAT, Wire.MESSAGES) else "input")
    if isinstance(turns, list) and wire is not Wire.EMBEDDINGS:
        yield from map(_turn, turns)
    elif turns:
        yield "input", _content(turns)
    if body.get("tools"):
        yield "tools", _pretty(body["tools"])


def _turn(turn: object) -> tuple[str, str]:
    if not isinstance(turn, dict):
        return "user", _piece(turn)
    said = turn.get("content")
    return str(turn.get("role") or turn.get("type") or "user"), _pretty(turn) if said is None else _content(said)


def _content(content: object) -> str:
    """Text as it is; of other parts what they are."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_piece(piece) for piece in content)
    return "" if content is None else _pretty(content)


def _piece(piece: object) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, dict):
        if isinstance(piece.get("text"), str):
            return str(piece["text"])
        if "content" in piece:
            return _content(piece["content"])
        if piece.get("type") in ("image_url", "image", "input_image", "document", "file", "input_file"):
            return f"[{piece['type']}]"
    return _pretty(piece)


def _parsed(content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")


def _pretty(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
