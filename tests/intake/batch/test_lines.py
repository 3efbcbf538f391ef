"""Batch lines of both providers, checked as the providers would."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laneway.config.models import Config
from laneway.intake.draft import BadLine, Draft
from laneway.intake.options import ReadOptions
from laneway.intake.reading import open_reading
from laneway.task import Wire

MESSAGE = {"role": "user", "content": "hello"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
FILE_IMAGE = {"type": "image", "source": {"type": "file", "file_id": "f"}}
BMP = {"type": "image", "source": {"type": "base64", "data": "x", "media_type": "image/bmp"}}
PDF = {"type": "document", "source": {"type": "base64", "data": "x"}}
CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"


def line(url: str, key: Any = "a", **body: Any) -> str:
    return json.dumps({"custom_id": key, "method": "POST", "url": url, "body": {"model": "m", **body}})


def said(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


def chat(**body: Any) -> str:
    return line(CHAT, **{"messages": [MESSAGE], **body})


def anthropic(key: str = "a", **params: Any) -> str:
    made = {"model": "claude", "max_tokens": 5, "messages": [MESSAGE], **params}
    return json.dumps({"custom_id": key, "params": {name: value for name, value in made.items() if value is not None}})


def read(folder: Path, *lines: str | bytes, conf: Config | None = None, **options: Any) -> list[Draft | BadLine]:
    path = folder / "in.jsonl"
    path.write_bytes(b"\n".join(one if isinstance(one, bytes) else one.encode() for one in lines))
    reading = open_reading(str(path), conf or Config(folder=folder), ReadOptions(**options))
    try:
        return list(reading)
    finally:
        reading.close()


def drafts(folder: Path, *lines: str | bytes, **options: Any) -> list[Draft]:
    made = read(folder, *lines, **options)
    assert all(isinstance(one, Draft) for one in made), made
    return [one for one in made if isinstance(one, Draft)]


def test_every_line_is_recognised_by_itself(tmp_path: Path) -> None:
    made = drafts(
        tmp_path,
        chat(max_tokens=7),
        line(RESPONSES, "b", input="why?", instructions="be kind", max_output_tokens=8),
        line(EMBEDDINGS, "c", input=["one", "two"]),
        anthropic("d", system="be brief"),
    )
    assert [(one.key, one.spec.wire, one.spec.type, one.output_tokens, one.text) for one in made] == [
        ("a", Wire.CHAT, "chat", 7, "hello"),
        ("b", Wire.RESPONSES, "responses", 8, "be kind\nwhy?"),
        ("c", Wire.EMBEDDINGS, "embeddings", 0, "one\ntwo"),
        ("d", Wire.MESSAGES, "messages", 5, "be brief\nhello"),
    ]
    assert [one.pins.model for one in made] == ["m", "m", "m", "claude"]
    assert json.loads(made[3].body)["system"] == "be brief"


def test_a_type_may_be_given_and_its_limits_hold(tmp_path: Path) -> None:
    conf = Config.model_validate({"types": {"hard": {"max_attempts": 9, "timeout": "3s"}}, "folder": tmp_path})
    (made,) = drafts(tmp_path, anthropic(), conf=conf, type="hard")
    assert (made.spec.type, made.spec.max_attempts, made.spec.timeout) == ("hard", 9, 3)


def test_what_the_given_type_asks_of_answers_holds_for_finished_bodies(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"type": "object"}')
    hard = {"output": "s.json", "checks": [{"pattern": "x"}]}
    conf = Config.model_validate({"types": {"hard": hard}, "folder": tmp_path})
    (made,) = drafts(tmp_path, anthropic(), conf=conf, type="hard")
    assert made.spec.checks == ({"schema": {"type": "object"}, "exact": True}, {"pattern": "x"})
    assert made.spec.output_schema is None, "the body passes as it is"
    (bad,) = read(tmp_path, line(EMBEDDINGS, input="x"), conf=conf, type="hard")
    assert isinstance(bad, BadLine)
    assert "embeddings are none" in bad.reason


@pytest.mark.parametrize("model", ["auto", None])
def test_auto_leaves_the_model_to_triage(tmp_path: Path, model: str | None) -> None:
    for made in (chat(model=model), anthropic(model=model)):
        assert drafts(tmp_path, made)[0].pins.model is None
    assert drafts(tmp_path, chat(), triage=True)[0].pins.model is None
    assert drafts(tmp_path, chat(model="own"), triage=True)[0].pins.asked == "own"
    assert drafts(tmp_path, line(EMBEDDINGS, input="x", model="own"), triage=True)[0].pins.model == "own"
    assert drafts(tmp_path, chat(), triage=True, model="big")[0].pins.model == "big"


def test_metadata_and_samples(tmp_path: Path) -> None:
    one, two = drafts(tmp_path, chat(metadata={"tags": "vip, new"}), samples=2)
    assert (one.key, two.key, one.tags) == ("a#1", "a#2", ("vip", "new"))
    assert one.fields == {"tags": "vip, new"}


def test_bom_blank_lines_and_limits(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbf" + f"{chat()}\r\n\r\n{anthropic('b')}\n{chat()}".encode()
    assert [one.key for one in drafts(tmp_path, text, limit=2)] == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "attachments"),
    [
        (chat(messages=[{"role": "user", "content": [IMAGE, {"type": "text", "text": "x"}]}]), {"image"}),
        (chat(messages=[{"role": "user", "content": [{"type": "file", "file": {"file_data": "x"}}]}]), {"pdf"}),
        (
            line(RESPONSES, input=[{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]),
            {"image"},
        ),
        (line(RESPONSES, input=[{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]), {"pdf"}),
        (anthropic(messages=said(PDF, FILE_IMAGE)), {"pdf", "image"}),
        (anthropic(messages=said({"type": "document", "source": {"type": "text", "data": "x"}})), set()),
        (anthropic(messages=said({"type": "tool_result", "content": [FILE_IMAGE]})), {"image"}),
    ],
)  # fmt: skip
def test_attachments_are_seen(tmp_path: Path, text: str, attachments: set[str]) -> None:
    assert drafts(tmp_path, text)[0].attachments == attachments


@pytest.mark.parametrize(
    "text",
    [
        chat(messages=[{"role": "assistant", "content": None, "tool_calls": []}, MESSAGE]),
        chat(messages=[{"role": "user", "content": [{"type": "video_url", "video_url": {}}]}]),
        line("/chat/completions", messages=[MESSAGE]),
        json.dumps({"custom_id": "a", "body": {"messages": [MESSAGE]}}),
        line(RESPONSES, input=[{"type": "function_call_output", "call_id": "c", "output": "7"}]),
        line(RESPONSES, prompt={"id": "p"}),
        line(EMBEDDINGS, input="text"),
        line(EMBEDDINGS, input=[1, 2, 3]),
        line(EMBEDDINGS, input=[[1, 2], [3]]),
        anthropic(system=[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]),
        anthropic(messages=[MESSAGE, {"role": "assistant", "content": "{"}]),
    ],
)
def test_what_the_providers_take_is_taken(tmp_path: Path, text: str) -> None:
    assert drafts(tmp_path, text)[0].key == "a"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{nope", "not JSON"),
        ("[1]", "not a JSON object"),
        (json.dumps({"custom_id": "", "body": {}}), "custom_id is missing"),
        (json.dumps({"custom_id": 7, "body": {}}), "custom_id is missing or not a text"),
        (json.dumps({"custom_id": "a" * 600, "body": {}}), "longer than 512"),
        (json.dumps({"custom_id": "a", "method": "GET", "body": {}}), "method is 'GET'"),
        (json.dumps({"custom_id": "a", "url": "/v1/completions", "body": {}}), "one of /v1/chat/completions"),
        (json.dumps({"custom_id": "a"}), "body is missing"),
        (json.dumps({"custom_id": "a", "params": []}), "params is not an object"),
        (chat(messages=[]), "body.messages is missing or empty"),
        (chat(messages=["x"]), "body.messages[0] is not an object"),
        (chat(messages=[{"role": "boss", "content": "x"}]), "body.messages[0].role is 'boss'"),
        (chat(messages=[{"role": "user", "content": 5}]), "body.messages[0].content is neither"),
        (chat(messages=[{"role": "user"}]), "body.messages[0].content is neither"),
        (chat(messages=[{"role": "user", "content": []}]), "is an empty list"),
        (chat(messages=[{"role": "user", "content": [{"x": 1}]}]), "content[0] is a part without a type"),
        (chat(messages=[{"role": "user", "content": [{"type": "text"}]}]), "content[0].text is missing"),
        (chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}]), "not an object"),
        (chat(messages=[{"role": "user", "content": [{"type": "file", "file": {}}]}]), "no file_data or file_id"),
        (chat(stream=True), "a batch is not streamed"),
        (chat(max_tokens=0), "max_tokens is not a positive"),
        (chat(model=5), "body.model is not a text"),
        (line(RESPONSES), "body.input is missing"),
        (line(RESPONSES, input=""), "body.input is missing"),
        (line(RESPONSES, input=["x"]), "body.input[0] is neither a message nor an item"),
        (line(RESPONSES, input=[{"role": "tool", "content": "x"}]), "body.input[0].role is 'tool'"),
        (line(RESPONSES, input=[{"role": "user", "content": [{"type": "text", "text": "x"}]}]), "as Chat Completions"),
        (line(RESPONSES, input="x", stream=True), "not streamed"),
        (line(RESPONSES, input="x", background=True), "background is on"),
        (line(RESPONSES, input="x", max_output_tokens="9"), "max_output_tokens is not a positive"),
        (line(EMBEDDINGS), "body.input is missing"),
        (line(EMBEDDINGS, input=["a", ""]), "neither a list of texts"),
        (line(EMBEDDINGS, input=[1, "a"]), "neither a list of texts"),
        (line(EMBEDDINGS, input=["a"] * 2049), "2,049 texts"),
        (anthropic(max_tokens=None), "params.max_tokens is missing"),
        (anthropic(max_tokens=0), "params.max_tokens is not a positive"),
        (anthropic(messages=[]), "params.messages is missing"),
        (anthropic(messages=[{"role": "developer", "content": "x"}]), "params.messages[0].role is 'developer'"),
        (anthropic(messages=[{"role": "user", "content": ""}]), "params.messages[0].content is empty"),
        (anthropic(messages=[{"role": "user", "content": [{"type": "image"}]}]), "content[0].source is missing"),
        (anthropic(messages=said(BMP)), "media_type is 'image/bmp'"),
        (anthropic(system=7), "params.system is neither"),
        (anthropic(stream=True), "not streamed"),
        (anthropic(model=7), "params.model is not a text"),
    ],
)  # fmt: skip
def test_bad_lines_say_why(tmp_path: Path, text: str, reason: str) -> None:
    good, bad = read(tmp_path, chat(), text)
    assert isinstance(good, Draft)
    assert isinstance(bad, BadLine)
    assert bad.line == 2
    assert reason in bad.reason
