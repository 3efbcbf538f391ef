"""What a type asks of its answers beyond their schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, field_validator

from laneway.config.code import load_object
from laneway.errors import ConfigError
from laneway.providers.answers.validate import OutputCheck
from laneway.task import Failure, FailureClass, Spec, Wire

SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


class Invoice(BaseModel):
    total: float

    @field_validator("total")
    @classmethod
    def positive(cls, value: float) -> float:
        if value < 0:
            raise ValueError("a total cannot be negative")
        return value


def matches(answer: Any, record: Mapping[str, Any]) -> str | None:
    return None if answer["total"] == record["sum"] else f"the record says {record['sum']}"


def raises(answer: Any) -> Any:
    assert answer["total"] < 10, "too much"
    if answer["total"] == 3:
        raise ValueError("three is no total")
    if answer["total"] == 4:
        answer["missing"]
    if answer["total"] == 5:
        raise TypeError("a slip")
    if answer["total"] == 6:
        return 17
    return None


def boolean(answer: Any) -> bool:
    return bool(answer["total"])


NAMES: Mapping[str, Any] = {"m:matches": matches, "m:raises": raises, "m:boolean": boolean, "m:Invoice": Invoice}


def find(reference: str) -> Any:
    if reference not in NAMES:
        raise ConfigError(f"{reference} is not there", hint="write it")
    return NAMES[reference]


def judged(text: str, *checks: Mapping[str, Any], schema: Any = SCHEMA, record: Any = None) -> Failure | None:
    spec = Spec("invoice", Wire.CHAT, output_schema=schema, checks=checks)
    output = orjson.dumps({"choices": [{"message": {"content": text}}]})
    return OutputCheck(find)(spec, b"{}", output, record)


def said(*arguments: Any, **named: Any) -> str:
    failure = judged(*arguments, **named)
    assert failure is not None
    assert (failure.cls, failure.code) == (FailureClass.OUTPUT, "check")
    return failure.message


def test_a_pattern_has_to_be_found_in_the_text() -> None:
    check = {"pattern": r"(?i)\bdear (mr|ms)\b"}
    assert judged("Hello, Dear Ms Brown!", check, schema=None) is None
    assert said("Hi there", check, schema=None) == r"the answer does not match '(?i)\\bdear (mr|ms)\\b'"
    assert said("Hi", {**check, "message": "greet the customer by name"}, schema=None) == "greet the customer by name"


def test_a_second_schema_is_asked_of_the_value_or_of_the_text() -> None:
    check = {"schema": {"properties": {"total": {"minimum": 0}}}}
    assert judged('{"total": 1}', check) is None
    assert "less than the minimum" in said('{"total": -1}', check)
    assert "less than the minimum" in said('{"total": -1}', check, schema=None)
    assert "not JSON" in said("none", check, schema=None)


def test_a_function_sees_the_parsed_answer_and_the_record() -> None:
    check = {"function": "m:matches"}
    assert judged('Sure: {"total": 2}', check, record={"sum": 2}) is None
    assert said('{"total": 2}', check, record={"sum": 3}) == "the record says 3"


@pytest.mark.parametrize(
    ("total", "words"), [(3, "three is no total"), (11, "too much"), (4, "missing: 'missing'"), (2, None)]
)
def test_what_a_function_raises_of_an_answer_is_told_to_the_model(total: int, words: str | None) -> None:
    text = f'{{"total": {total}}}'
    if words is None:
        assert judged(text, {"function": "m:raises"}) is None
    else:
        assert words in said(text, {"function": "m:raises"})


@pytest.mark.parametrize("total", [5, 6])
def test_a_function_that_is_at_fault_itself_is_not_blamed_on_the_model(total: int) -> None:
    failure = judged(f'{{"total": {total}}}', {"function": "m:raises"})
    assert failure is not None
    assert (failure.cls, failure.code) == (FailureClass.CODE, "check_broken")
    assert "m:raises" in failure.message


def test_true_and_false_are_understood() -> None:
    assert judged('{"total": 1}', {"function": "m:boolean"}) is None
    assert said('{"total": 0}', {"function": "m:boolean"}) == "it does not pass m:boolean"


def test_a_models_own_validators_count() -> None:
    assert judged('{"total": 1}', {"model": "m:Invoice"}) is None
    assert said('{"total": -1}', {"model": "m:Invoice"}) == "at total: Value error, a total cannot be negative"


def test_all_faults_are_told_at_once() -> None:
    words = said('{"total": -1}', {"pattern": "x"}, {"model": "m:Invoice"})
    assert "does not match" in words
    assert "negative" in words


def test_a_function_that_is_not_there_is_known_before_anything_is_paid() -> None:
    check = OutputCheck(find)
    failure = check.unready(Spec("invoice", Wire.CHAT, checks=({"function": "m:gone"},)))
    assert failure is not None
    assert (failure.cls, failure.code) == (FailureClass.REQUEST, "check_missing")
    later = check.unready(Spec("invoice", Wire.CHAT, checks=({"vote": 3},)))
    assert later is not None, "of a newer version"
    assert check.unready(Spec("invoice", Wire.CHAT, checks=({"function": "m:matches"},))) is None


def test_checks_do_not_concern_embeddings_and_python_tasks() -> None:
    for wire in (Wire.EMBEDDINGS, Wire.PYTHON):
        spec = Spec("x", wire, output_schema=SCHEMA, checks=({"pattern": "x"},))
        assert OutputCheck(find)(spec, b"{}", b'{"data": []}') is None


def test_objects_are_loaded_by_name(tmp_path: Any) -> None:
    (tmp_path / "own_models.py").write_text("class Outer:\n    class Inner: pass\n")
    assert load_object("own_models:Outer.Inner", tmp_path, "here: the model", "").__name__ == "Inner"
    with pytest.raises(ConfigError, match=r"here: the model 'own_models:Gone' cannot be loaded: AttributeError"):
        load_object("own_models:Gone", tmp_path, "here: the model", "write it")


def handed_on(text: str, body: dict[str, Any], wire: Wire = Wire.CHAT, **spec: Any) -> str | None:
    answers: dict[Wire, dict[str, Any]] = {
        Wire.CHAT: {"choices": [{"message": {"content": text}}]},
        Wire.MESSAGES: {"content": [{"type": "text", "text": text}]},
        Wire.RESPONSES: {"output": [{"type": "message", "content": [{"type": "output_text", "text": text}]}]},
    }
    failure = OutputCheck(find)(Spec("t", wire, **spec), orjson.dumps(body), orjson.dumps(answers[wire]))
    return failure.code if failure else None


BODIES: dict[Wire, dict[str, Any]] = {
    Wire.CHAT: {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
    Wire.RESPONSES: {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
    Wire.MESSAGES: {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
}


@pytest.mark.parametrize("wire", list(BODIES))
def test_a_body_that_asks_for_a_schema_is_held_to_it_to_the_letter(wire: Wire) -> None:
    assert handed_on('{"total": 1}', BODIES[wire], wire) is None
    assert handed_on('{"total": "x"}', BODIES[wire], wire) == "schema"
    assert handed_on('{"total": 1', BODIES[wire], wire) == "not_json"
    assert handed_on('```json\n{"total": 1}\n```', BODIES[wire], wire) == "not_json", "its reader would not unwrap it"
    assert handed_on("any words", {"messages": [{"content": "say json_schema"}]}, wire) is None


def test_json_mode_is_held_to_an_object() -> None:
    body = {"response_format": {"type": "json_object"}}
    assert handed_on('{"a": 1}', body) is None
    assert handed_on("[1]", body) == "schema"
    assert handed_on("words", body) == "not_json"


def test_a_schema_that_only_the_provider_understands_is_left_to_it() -> None:
    body = {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "objekt"}}}}
    assert handed_on("words", body) is None


def test_the_type_of_a_finished_body_may_ask_for_more() -> None:
    exact = {"schema": SCHEMA, "exact": True}
    assert handed_on('{"total": 1}', {}, checks=(exact, {"function": "m:raises"})) is None
    assert handed_on('{"total": 3}', {}, checks=(exact, {"function": "m:raises"})) == "check"
    assert handed_on('Sure: {"total": 1}', {}, checks=(exact,)) == "not_json"
