"""Batch result lines as the providers write them, read by the official SDKs' own types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from anthropic.types.messages import MessageBatchIndividualResponse

from laneway.intake.shapes import shape_for
from laneway.store.results import Result
from laneway.task import State, Wire

SHAPE = shape_for(Path("out.jsonl"), "batch", list)
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 2},
}


def result(
    wire: Wire,
    state: State = State.SUCCEEDED,
    output: Mapping[str, Any] | None = None,
    error: Mapping[str, Any] | None = None,
) -> Result:
    answer = json.dumps(output).encode() if output else None
    return Result(1, 7, "key#2", "t", wire, state, "m", None, answer, error, None, 0.0, "req_1")


def failed(wire: Wire, code: str = "bad", status: int | None = 400) -> dict[str, Any]:
    error = {"class": "request", "code": code, "message": "no good", "status": status}
    line: dict[str, Any] = json.loads(SHAPE.error_row(result(wire, State.FAILED, error=error)))
    return line


def test_openai_success() -> None:
    for wire in (Wire.CHAT, Wire.RESPONSES, Wire.EMBEDDINGS):
        assert json.loads(SHAPE.row(result(wire, output={"id": "x"}))) == {
            "id": "batch_req_7",
            "custom_id": "key#2",
            "response": {"status_code": 200, "request_id": "req_1", "body": {"id": "x"}},
            "error": None,
        }


@pytest.mark.parametrize(
    ("code", "status", "kind", "said"),
    [
        ("context_length_exceeded", 400, "invalid_request_error", "context_length_exceeded"),
        ("invalid_request_error", 400, "invalid_request_error", None),
        ("http_503", 503, "server_error", None),
        ("rate_limit_exceeded", 429, "requests", "rate_limit_exceeded"),
    ],
)
def test_openai_puts_what_the_api_refused_into_the_response(code: str, status: int, kind: str, said: str) -> None:
    line = failed(Wire.CHAT, code, status)
    error = {"message": "no good", "type": kind, "param": None, "code": said}
    assert line["response"] == {"status_code": status, "request_id": "req_1", "body": {"error": error}}
    assert line["error"] is None


@pytest.mark.parametrize("status", [None, 200])
def test_openai_puts_what_never_was_refused_into_error(status: int | None) -> None:
    line = failed(Wire.RESPONSES, "not_json", status)
    assert line["response"] is None
    assert line["error"] == {"code": "not_json", "message": "no good"}


def test_anthropic_success() -> None:
    line = MessageBatchIndividualResponse.model_validate_json(SHAPE.row(result(Wire.MESSAGES, output=MESSAGE)))
    assert line.custom_id == "key#2"
    assert line.result.type == "succeeded"
    assert line.result.message.content[0].type == "text"
    assert line.result.message.usage.output_tokens == 2


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("invalid_request_error", 400, "invalid_request_error"),
        ("overloaded_error", 529, "overloaded_error"),
        ("insufficient_quota", 429, "rate_limit_error"),
        ("request_too_large", 413, "invalid_request_error"),
        ("connection", None, "api_error"),
        ("http_503", 503, "api_error"),
    ],
)
def test_anthropic_errors(code: str, status: int | None, kind: str) -> None:
    line = MessageBatchIndividualResponse.model_validate(failed(Wire.MESSAGES, code, status))
    assert line.result.type == "errored"
    assert line.result.error.type == "error"
    assert (line.result.error.error.type, line.result.error.error.message) == (kind, "no good")
    assert line.result.error.request_id == "req_1"


def test_anthropic_cancelled() -> None:
    line = MessageBatchIndividualResponse.model_validate_json(SHAPE.row(result(Wire.MESSAGES, State.CANCELLED)))
    assert line.result.type == "canceled"
