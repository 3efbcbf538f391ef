"""Asking for a schema in each provider's way, and in a weaker one where that is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from laneway.providers.answers.structured import (
    Asked,
    Learnt,
    Mode,
    ask,
    in_words,
    is_asked,
    modes,
    plain_schema,
    strict_terms,
    take_schema,
)
from laneway.task import Failure, FailureClass, Wire

CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"required": {"type": "string"}, "n": {"type": ["integer", "null"], "minimum": 1}},
    "required": ["required", "n"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}}
LIST = {"type": "array", "items": CLOSED}
WIRES = (Wire.CHAT, Wire.RESPONSES, Wire.MESSAGES)


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "$schema": "https://json-schema.org/draft/2020-12/schema", "$defs": {"x": CLOSED}}, True),
        (OPEN, False),
        (LIST, False),
        ({**CLOSED, "required": ["n"]}, False),
        ({**CLOSED, "properties": {"required": {"type": "string", "minLength": 1}, "n": {}}}, False),
        ({**CLOSED, "allOf": [{}]}, False),
        ({**CLOSED, "$defs": {"x": OPEN}}, False),
    ],
)
def test_strict_mode_is_asked_for_only_on_its_own_terms(schema: dict[str, Any], strict: bool) -> None:
    assert strict_terms(schema) is strict


def test_each_format_says_it_in_its_own_words() -> None:
    said: dict[Wire, dict[str, Any]] = {wire: {"messages": [], "input": "x"} for wire in WIRES}
    for wire, data in said.items():
        assert not is_asked(wire, data)
        ask(wire, data, CLOSED, Mode.WHOLE)
        assert is_asked(wire, data)
    named = {"name": "answer", "schema": CLOSED, "strict": True}
    assert said[Wire.CHAT]["response_format"] == {"type": "json_schema", "json_schema": named}
    assert said[Wire.RESPONSES]["text"]["format"] == {"type": "json_schema", **named}
    assert said[Wire.MESSAGES]["output_config"]["format"] == {"type": "json_schema", "schema": CLOSED}
    loose: dict[str, Any] = {}
    ask(Wire.CHAT, loose, OPEN, Mode.WHOLE)
    assert loose["response_format"]["json_schema"]["strict"] is False


def test_other_output_settings_of_a_body_stay() -> None:
    data: dict[str, Any] = {"output_config": {"effort": "low"}}
    ask(Wire.MESSAGES, data, CLOSED, Mode.WHOLE)
    assert data["output_config"]["effort"] == "low"


@pytest.mark.parametrize("mode", [Mode.OBJECT, Mode.PROMPT])
def test_without_a_way_of_its_own_the_schema_stands_in_the_system_prompt(mode: Mode) -> None:
    words = in_words(CLOSED)
    chat: dict[str, Any] = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "x"}]}
    ask(Wire.CHAT, chat, CLOSED, mode)
    assert chat["messages"][0]["content"] == f"Be brief.\n\n{words}"
    assert chat.get("response_format") == ({"type": "json_object"} if mode is Mode.OBJECT else None)
    answer: dict[str, Any] = {"input": "x"}
    ask(Wire.RESPONSES, answer, CLOSED, mode)
    assert answer["input"] == [{"role": "system", "content": words}, {"role": "user", "content": "x"}]
    message: dict[str, Any] = {"system": [{"type": "text", "text": "Be brief."}], "messages": []}
    ask(Wire.MESSAGES, message, CLOSED, Mode.PROMPT)
    assert message["system"][1]["text"] == words
    assert orjson.dumps(CLOSED).decode() in words


def test_a_plain_schema_is_closed_and_keeps_what_it_drops_in_words() -> None:
    made = plain_schema({**CLOSED, "$schema": "x", "additionalProperties": True, "title": "V"})
    assert made is not None
    assert made["additionalProperties"] is False
    assert made["title"] == "V"
    assert "$schema" not in made
    number, null = made["properties"]["n"]["anyOf"]
    assert number == {"type": "integer", "description": "(minimum: 1)"}
    assert null == {"type": "null"}
    assert made["properties"]["required"] == {"type": "string"}
    listed = plain_schema({"type": "array", "minItems": 1, "maxItems": 3, "items": {"oneOf": [{"const": 1}]}})
    assert listed == {
        "type": "array", "minItems": 1, "items": {"anyOf": [{"const": 1}]}, "description": "(maxItems: 3)"
    }  # fmt: skip


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "array", "prefixItems": [{"type": "string"}]},
    ],
)
def test_a_schema_that_would_mean_something_else_is_not_made_plain(schema: dict[str, Any]) -> None:
    assert plain_schema(schema) is None
    assert Mode.PLAIN not in modes(Wire.MESSAGES, schema, native=True)


def test_which_ways_there_are() -> None:
    assert modes(Wire.CHAT, CLOSED, native=True) == (Mode.WHOLE, Mode.PLAIN, Mode.OBJECT, Mode.PROMPT)
    assert modes(Wire.CHAT, OPEN, native=False) == (Mode.OBJECT, Mode.PROMPT)
    assert modes(Wire.CHAT, LIST, native=False) == (Mode.PROMPT,), "JSON mode knows objects only"
    assert modes(Wire.MESSAGES, OPEN, native=True) == (Mode.WHOLE, Mode.PLAIN, Mode.PROMPT)


def refused(message: str, status: int = 400) -> Failure:
    return Failure(FailureClass.REQUEST, "invalid_request_error", message, status)


def asked(learnt: Learnt, schema: Any = CLOSED, model: str = "m", wire: Wire = Wire.CHAT) -> Asked:
    return learnt.ask(Asked("main", model, wire, {"messages": []}, schema))


def test_a_refused_way_is_left_once_and_for_all(caplog: pytest.LogCaptureFixture) -> None:
    learnt = Learnt()
    no = refused("Invalid schema for response_format 'answer'")
    first, in_flight = asked(learnt), asked(learnt)
    assert first.mode is Mode.WHOLE
    assert learnt.refused(first, no)
    assert learnt.refused(in_flight, no), "another call that was on its way"
    assert len(caplog.records) == 1
    second = asked(learnt)
    assert second.mode is Mode.PLAIN
    assert second.data["response_format"]["json_schema"]["strict"] is False
    assert asked(learnt, model="other").mode is Mode.WHOLE
    assert asked(learnt, OPEN).mode is Mode.WHOLE
    assert learnt.refused(second, no)
    third = asked(learnt)
    assert third.mode is Mode.OBJECT
    assert learnt.refused(third, no)
    last = asked(learnt)
    assert last.mode is Mode.PROMPT
    assert not learnt.refused(last, no)


def test_another_refusal_is_none_of_the_schemas() -> None:
    learnt = Learnt()
    assert not learnt.refused(asked(learnt), refused("temperature is too high"))
    assert not learnt.refused(asked(learnt), refused("schema registry is down", 500))


def test_the_schema_of_a_translated_body_is_put_anew() -> None:
    for wire in WIRES:
        data: dict[str, Any] = {"messages": [], "input": "x", "output_config": {"effort": "low"}}
        ask(wire, data, CLOSED, Mode.WHOLE)
        assert take_schema(wire, data) == CLOSED
        assert not is_asked(wire, data)
        assert take_schema(wire, data) is None
