"""What a line of the results looks like: a provider's batch format, or the input's own columns with the answer
added."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from laneway.intake.kind import Kind
from laneway.providers.answers.reading import Unusable
from laneway.providers.answers.validate import Answers
from laneway.providers.chat import answer_text
from laneway.store.results import Result
from laneway.task import State, Wire

ADDED = ("status", "output", "error", "model", "cost_usd")
_ANTHROPIC_BY_STATUS = {  # Anthropic, "Errors"
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_ANTHROPIC_KINDS = {*_ANTHROPIC_BY_STATUS.values(), "api_error"}
_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")  # the last four: full-width, as a Japanese Excel takes them too
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*%?")


class Shape(Protocol):
    def head(self) -> bytes:
        """What stands before the first row (b"" for none)."""
        ...

    def row(self, result: Result) -> bytes: ...

    def error_row(self, result: Result) -> bytes:
        """A failed task, always as a JSON line."""
        ...


def shape_for(out: Path, kind: str, columns: Callable[[], Sequence[str]]) -> Shape:
    """``kind``: what the input held. ``columns``: asked when the input has been read."""
    if out.suffix.casefold() == ".csv":
        return CsvRows(columns)
    return JsonRows() if kind == Kind.RECORDS else BatchRows()


class BatchRows:
    """Each result as its own provider's batch writes it."""

    def head(self) -> bytes:
        return b""

    def row(self, result: Result) -> bytes:
        line = _anthropic_line(result) if result.wire is Wire.MESSAGES else _openai_line(result)
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    error_row = row


def _openai_line(result: Result) -> dict[str, Any]:
    """OpenAI API reference, "The request output object". What the API refused with a status stands in the response;
    ``error`` is only for what never got one (as its error files have it: openai/openai-openapi#302)."""
    response: dict[str, Any] | None = None
    said: dict[str, Any] | None = None
    if result.state is State.SUCCEEDED:
        response = _response(result, 200, orjson.Fragment(result.output or b"null"))
    else:
        error = dict(result.error or {})
        said = {"code": error.get("code") or result.state.value, "message": error.get("message") or result.state.value}
        if (status := error.get("status")) and status != 200:
            body = {"error": {"message": said["message"], "param": None, **_openai_words(said["code"], status)}}
            response, said = _response(result, status, body), None
    return {"id": f"batch_req_{result.task_id}", "custom_id": result.key, "response": response, "error": said}


def _openai_words(code: str, status: int) -> dict[str, str | None]:
    """OpenAI's ``type`` and ``code``, of which Laneway keeps the more telling one."""
    if code.endswith("_error"):
        return {"type": code, "code": None}
    kind = {429: "requests"}.get(status, "invalid_request_error") if status < 500 else "server_error"
    return {"type": kind, "code": None if code.startswith("http_") else code}


def _response(result: Result, status: int, body: Any) -> dict[str, Any]:
    return {"status_code": status, "request_id": result.request_id or "", "body": body}


def _anthropic_line(result: Result) -> dict[str, Any]:
    """Anthropic API reference, "Retrieve Message Batch results"."""
    said: dict[str, Any]
    if result.state is State.SUCCEEDED:
        said = {"type": "succeeded", "message": orjson.Fragment(result.output or b"null")}
    elif result.state is State.CANCELLED:
        said = {"type": "canceled"}
    else:
        error = dict(result.error or {})
        code, status = error.get("code"), error.get("status")
        kind = code if code in _ANTHROPIC_KINDS else _ANTHROPIC_BY_STATUS.get(status or 0, "api_error")
        inner = {"type": kind, "message": error.get("message") or result.state.value}
        said = {"type": "errored", "error": {"type": "error", "error": inner, "request_id": result.request_id}}
    return {"custom_id": result.key, "result": said}


class JsonRows:
    """The record's columns plus ``status, output, error, model, cost_usd``, a JSON object a line."""

    def __init__(self) -> None:
        self._answers = Answers()

    def head(self) -> bytes:
        return b""

    def row(self, result: Result) -> bytes:
        return orjson.dumps(_fields(result, self._answers), option=orjson.OPT_APPEND_NEWLINE)

    error_row = row


class PlainRows:
    """A task in a few plain fields, whatever its input was: ``laneway results --json``."""

    def __init__(self) -> None:
        self._answers = Answers()

    def head(self) -> bytes:
        return b""

    def row(self, result: Result) -> bytes:
        said = {
            "task": result.task_id,
            "key": result.key,
            "type": result.type,
            "status": result.state.value,
            "output": output_of(result, self._answers),
            "error": dict(result.error) if result.error else None,
            "model": result.model,
            "cost_usd": None if result.cost is None else round(result.cost, 8),
        }
        return orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)

    error_row = row


class CsvRows:
    """The same as a table. Cells that a spreadsheet would take for a formula get an apostrophe in front
    (OWASP, "CSV Injection"); plain numbers stay numbers."""

    def __init__(self, columns: Callable[[], Sequence[str]]) -> None:
        self._columns = columns
        self._names: list[str] = []
        self._answers = Answers()

    def head(self) -> bytes:
        names = list(self._columns())
        self._names = [name for name in names or ["custom_id"] if name not in ADDED] + list(ADDED)
        return _csv_line([_cell(name) for name in self._names])

    def row(self, result: Result) -> bytes:
        fields = _fields(result, self._answers)
        return _csv_line([_cell(fields.get(name)) for name in self._names or self._names_from_head()])

    def error_row(self, result: Result) -> bytes:
        return orjson.dumps(_fields(result, self._answers), option=orjson.OPT_APPEND_NEWLINE)

    def _names_from_head(self) -> list[str]:
        self.head()
        return self._names


def _fields(result: Result, answers: Answers) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(result.record) if result.record else {"custom_id": result.key}
    error = dict(result.error) if result.error else None
    return {
        **record,
        "status": result.state.value,
        "output": output_of(result, answers),
        "error": error and f"{error.get('class')}: {error.get('message')}",
        "model": result.model,
        "cost_usd": None if result.cost is None else round(result.cost, 8),
    }


def output_of(result: Result, answers: Answers) -> Any:
    """The answer's text; parsed where it was asked for as JSON, or is a Python task's value."""
    if result.state is not State.SUCCEEDED or result.output is None:
        return None
    if result.wire is Wire.PYTHON:
        return orjson.loads(result.output)
    if result.schema is not None:
        with contextlib.suppress(Unusable):  # never, but for answers that an earlier version took
            return answers.value(result.schema, result.wire, result.output)
    return answer_text(result.wire, result.output)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return orjson.dumps(value).decode()
    if value.lstrip()[:1] in _FORMULA or value[:1] in _FORMULA:
        return value if _NUMBER.fullmatch(value) else "'" + value
    return value


def _csv_line(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue().encode()
