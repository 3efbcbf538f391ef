"""JSON Schemas: sound when loaded, never fetched, bounded."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.config.patterns import BadPattern, finder
from laneway.providers.answers.schemas import BadSchema, Validator


def test_a_fault_says_where_and_what() -> None:
    validator = Validator(
        {"properties": {"a": {"type": "integer"}, "b": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    )
    assert validator.fault({"a": 1, "b": None}) is None
    assert validator.fault({"a": "x"}) == "at $.a: 'x' is not of type 'integer'"
    both = validator.fault({"a": "x", "b": 2})
    assert both is not None
    assert "$.a" in both
    assert "$.b" in both


def test_a_long_value_does_not_hide_the_reason() -> None:
    fault = Validator({"type": "integer"}).fault("x" * 10_000)
    assert fault is not None
    assert len(fault) < 400
    assert fault.endswith("is not of type 'integer'")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "objekt"}, "not a JSON Schema: at $.type"),
        ({"$ref": "https://example.com/schema.json"}, "leads nowhere"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "leads nowhere"),
        ({"$ref": "#/$defs/missing"}, "leads nowhere"),
        ({"$defs": {"a": {"items": {"$ref": "http://x/y"}}}, "$ref": "#/$defs/a"}, "http://x/y"),
        ({"$ref": "#"}, "without end"),
        ({"pattern": "("}, "not a JSON Schema"),
    ],
)
def test_an_unsound_schema_is_refused(schema: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSchema, match=said.replace("$", r"\$")):
        Validator(schema)


def test_definitions_in_the_file_work() -> None:
    tree = {
        "$defs": {
            "node": {"type": "object", "properties": {"of": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}
        },
        "$ref": "#/$defs/node",
    }
    validator = Validator(tree)
    assert validator.fault({"of": [{"of": []}]}) is None
    assert validator.fault({"of": [1]}) is not None
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"of": [deep]}
    assert validator.fault(deep) == "it is nested too deeply"


def test_formats_are_checked_the_same_everywhere() -> None:
    validator = Validator({"properties": {"on": {"format": "date"}, "at": {"format": "date-time"}}})
    assert validator.fault({"on": "2026-11-25", "at": "2026-11-25T05:00:00Z"}) is None
    assert validator.fault({"on": "25.11.2026"}) is not None
    assert validator.fault({"at": "soon"}) is not None


def test_patterns_cannot_run_away() -> None:
    evil = "a" * 50_000 + "!"
    assert not finder(r"^(a+)+$")(evil)
    assert Validator({"pattern": r"^(a+)+$"}).fault(evil) is not None
    assert Validator({"patternProperties": {"^(a+)+$": {"type": "null"}}}).fault({evil: 1}) is None
    with pytest.raises(BadPattern, match="look-around"):
        finder(r"(?!no)")
    assert Validator({"pattern": r"^(?!no)"}).fault("yes") is None, "common in schemas"
    assert Validator({"pattern": r"^(?!no)"}).fault("yes" * 1000) is not None
