"""Many records: submitted in bulk, never too many at once, and given back as they end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import inf
from typing import Any, NamedTuple

import orjson

from laneway.client.plans import asked, send, told
from laneway.client.shapes import Mapped, Task
from laneway.client.steps import Give, Plan, Request
from laneway.errors import UsageError

CHUNK = 200  # records in one request …
CHUNK_BYTES = 4_000_000  # … and how large it becomes
OPEN = 1_000  # tasks that have been submitted and not been given back
WAIT_S = 20.0  # of one question for what has ended
NDJSON = {"Content-Type": "application/x-ndjson"}
Key = Callable[[Any], object] | str | None


class Line(NamedTuple):
    place: int
    record: Any
    text: bytes


def mapped(
    type_: str | None, records: Iterable[Any], key: Key, wishes: Mapping[str, Any], patience: float
) -> Plan[None]:
    """Each task's key is there before it is sent, so that what is sent again after a break is known."""
    lines = _lines(type_, records, key, wishes)
    kept: Line | None = None
    open_: dict[int, list[Line]] = {}  # records that are alike have one task
    more = True
    while more or open_:
        while more and len(open_) < OPEN:
            chunk, kept = _chunk(lines, kept)
            more = kept is not None
            if chunk:
                content = b"\n".join(line.text for line in chunk)
                answer = yield from asked(Request("POST", "/tasks/bulk", content, NDJSON), inf)
                for id_, line in zip(orjson.loads(answer.body)["ids"], chunk, strict=True):
                    open_.setdefault(id_, []).append(line)
        if open_:
            ids = list(open_)[:OPEN]
            question = send("/tasks/results", {"ids": ids, "timeout_s": WAIT_S})
            for one in (yield from told(question, patience))["data"]:
                task = Task.of(one)
                for line in open_.pop(task.id, ()):
                    yield Give(Mapped(line.place, line.record, task))


def _chunk(lines: Iterator[Line], first: Line | None) -> tuple[list[Line], Line | None]:
    """The next that fit into one request, and the one behind them."""
    chunk, size = [] if first is None else [first], 0 if first is None else len(first.text)
    for line in lines:
        if len(chunk) == CHUNK or (chunk and size + len(line.text) > CHUNK_BYTES):
            return chunk, line
        chunk.append(line)
        size += len(line.text)
    return chunk, None


def _lines(type_: str | None, records: Iterable[Any], key: Key, wishes: Mapping[str, Any]) -> Iterator[Line]:
    """Raises UsageError for a record that is none."""
    own = uuid.uuid4().hex
    for index, record in enumerate(records):
        if type_ is None and not isinstance(record, str):
            raise UsageError(f"record {index} is no prompt", hint="name a type, or give texts")
        if type_ is not None and not isinstance(record, Mapping):
            raise UsageError(f"record {index} is no mapping", hint="give the fields of the type by name")
        asks = {"prompt": record} if type_ is None else {"type": type_, "fields": dict(record)}
        yield Line(index, record, orjson.dumps({**wishes, **asks, "key": _key(key, record, index, own)}))


def _key(key: Key, record: Any, index: int, own: str) -> str:
    if key is None:
        return f"{own}-{index}"
    found = key(record) if callable(key) else record[key]
    return str(found)
