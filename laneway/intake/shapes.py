"""What a line of the results looks like: a provider's batch format, or the input's own columns with the answer
added."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from laneway.providers.chat import answer_text
from laneway.providers.validate import unfenced
from laneway.store.interface import Result
from laneway.task import State

ADDED = ("status", "output", "error", "model", "cost_usd")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*%?$")


class Shape(Protocol):
    def head(self) -> bytes:
        """What stands before the first row (b"" for none)."""
        ...

    def row(self, result: Result) -> bytes: ...

    def error_row(self, result: Result) -> bytes:
        """A failed task, always as a JSON line."""
        ...


def shape_for(out: Path, kind: str, columns: Callable[[], Sequence[str]]) -> Shape:
    """``columns``: asked when the input has been read."""
    if out.suffix.casefold() == ".csv":
        return CsvRows(columns)
    return OpenAIBatchRows() if kind == "openai_batch" else JsonRows()


class OpenAIBatchRows:
    """Output and error lines as OpenAI's Batch API writes them (API reference, "The request output object")."""

    def head(self) -> bytes:
        return b""

    def row(self, result: Result) -> bytes:
        body = orjson.Fragment(result.output or b"null")
        response = {"status_code": 200, "request_id": result.request_id or "", "body": body}
        return self._line(result, response, None)

    def error_row(self, result: Result) -> bytes:
        error = dict(result.error or {})
        said = {"code": error.get("code") or result.state.value, "message": error.get("message") or result.state.value}
        response = None
        if error.get("status"):
            body = {"error": {**said, "type": error.get("class"), "param": None}}
            response = {"status_code": error["status"], "request_id": result.request_id or "", "body": body}
        return self._line(result, response, said)

    @staticmethod
    def _line(result: Result, response: Any, error: Any) -> bytes:
        line = {"id": f"batch_req_{result.task_id}", "custom_id": result.key, "response": response, "error": error}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


class JsonRows:
    """The record's columns plus ``status, output, error, model, cost_usd``, a JSON object a line."""

    def head(self) -> bytes:
        return b""

    def row(self, result: Result) -> bytes:
        return orjson.dumps(_fields(result), option=orjson.OPT_APPEND_NEWLINE)

    error_row = row


class CsvRows:
    """The same as a table. Cells that a spreadsheet would take for a formula get an apostrophe in front
    (OWASP, "CSV Injection"); plain numbers stay numbers."""

    def __init__(self, columns: Callable[[], Sequence[str]]) -> None:
        self._columns = columns
        self._names: list[str] = []

    def head(self) -> bytes:
        names = list(self._columns())
        self._names = [name for name in names or ["custom_id"] if name not in ADDED] + list(ADDED)
        return _csv_line(self._names)

    def row(self, result: Result) -> bytes:
        fields = _fields(result)
        return _csv_line([_cell(fields.get(name)) for name in self._names or self._names_from_head()])

    def error_row(self, result: Result) -> bytes:
        return orjson.dumps(_fields(result), option=orjson.OPT_APPEND_NEWLINE)

    def _names_from_head(self) -> list[str]:
        self.head()
        return self._names


def _fields(result: Result) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(result.record) if result.record else {"custom_id": result.key}
    error = dict(result.error) if result.error else None
    return {
        **record,
        "status": result.state.value,
        "output": _output(result),
        "error": error and f"{error.get('class')}: {error.get('message')}",
        "model": result.model,
        "cost_usd": None if result.cost is None else round(result.cost, 8),
    }


def _output(result: Result) -> Any:
    """The answer's text; parsed where it was asked for as JSON."""
    if result.state is not State.SUCCEEDED or result.output is None:
        return None
    text = answer_text(result.wire, result.output)
    if result.structured:
        return orjson.loads(unfenced(text))
    return text


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not _NUMBER.match(text):
        return "'" + text
    return text


def _csv_line(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()
