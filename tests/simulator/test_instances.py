"""Every instance is judged by jsonschema, which had no part in making it."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from laneway.simulator.instances import instance
from laneway.simulator.patterns import matching

NODE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
            "required": ["name", "next"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
TREE = {
    "type": "object",
    "properties": {"children": {"type": "array", "items": {"$ref": "#"}}, "value": {"type": "integer"}},
    "required": ["children", "value"],
}
SCHEMAS: dict[str, Any] = {
    "empty": {},
    "anything": True,
    "verdict": {
        "type": "object",
        "properties": {
            "risk": {"enum": ["low", "medium", "high"]},
            "why": {"type": "string", "minLength": 80, "maxLength": 90},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "count": {"type": "integer", "exclusiveMinimum": 3, "maximum": 5},
            "open": {"type": "boolean"},
            "kind": {"const": "verdict"},
            "parts": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 3},
        },
        "required": ["risk", "why", "score", "count", "open", "kind", "parts"],
        "additionalProperties": False,
    },
    "pydantic": {
        "$defs": {"Risk": {"enum": ["a", "b"], "type": "string"}, "Part": {"properties": {"n": {"type": "integer"}}}},
        "properties": {
            "risk": {"$ref": "#/$defs/Risk", "description": "with siblings"},
            "parts": {"items": {"$ref": "#/$defs/Part"}, "type": "array"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
            "extra": {"additionalProperties": {"type": "integer"}, "type": "object"},
        },
        "required": ["risk", "parts"],
        "type": "object",
    },
    "required but not described": {"type": "object", "required": ["a"], "additionalProperties": {"type": "integer"}},
    "least properties": {"type": "object", "minProperties": 3, "additionalProperties": {"type": "boolean"}},
    "most properties": {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}, "c": {"type": "string"}},
        "required": ["c"],
        "maxProperties": 2,
    },
    "several types": {"type": ["string", "null"]},
    "one of": {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    "all of": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]
    },
    "tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "unique": {"type": "array", "items": {"enum": [1, 2, 3]}, "uniqueItems": True, "minItems": 3},
    "no items": {"type": "array", "maxItems": 0},
    "multiples": {"type": "integer", "multipleOf": 7, "minimum": 10},
    "float multiples": {"type": "number", "multipleOf": 0.01, "minimum": 0.3, "maximum": 5},
    "negative": {"type": "number", "exclusiveMaximum": -5},
    "narrow": {"type": "number", "minimum": 0.00001, "maximum": 0.00002},
    "one number": {"type": "number", "minimum": 2, "maximum": 2},
    "pattern": {"type": "string", "pattern": r"^[A-Z]{2}-\d{4}(/(a|bc))?$"},
    "very short": {"type": "string", "maxLength": 3},
    "linked list": NODE,
    "tree": TREE,
    "formats": {
        "type": "array",
        "prefixItems": [
            {"type": "string", "format": one}
            for one in ("date", "date-time", "email", "ipv4", "ipv6", "uuid", "uri", "hostname")
        ],
        "minItems": 8,
    },
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_instances_are_valid(schema: Any) -> None:
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    Draft202012Validator.check_schema(schema)
    for seed in range(30):
        for good in (True, False):
            for terse in (True, False):
                validator.validate(instance(schema, random.Random(seed), good=good, terse=terse))


@given(st.integers(-1000, 1000), st.integers(0, 50), st.sampled_from([1, 2, 5]), st.integers())
def test_whole_numbers_keep_their_bounds(low: int, width: int, step: int, seed: int) -> None:
    schema = {"type": "integer", "minimum": low, "maximum": low + width + step, "multipleOf": step}
    Draft202012Validator(schema).validate(instance(schema, random.Random(seed)))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.booleans(), st.integers())
def test_numbers_keep_their_bounds(low: float, width: float, exclusive: bool, seed: int) -> None:
    words = ("exclusiveMinimum", "exclusiveMaximum") if exclusive else ("minimum", "maximum")
    schema = {"type": "number", words[0]: low, words[1]: low + width}
    Draft202012Validator(schema).validate(instance(schema, random.Random(seed)))


@given(st.integers(0, 300), st.integers(0, 300), st.booleans())
def test_texts_keep_their_lengths(least: int, more: int, terse: bool) -> None:
    schema = {"type": "string", "minLength": least, "maxLength": least + more}
    Draft202012Validator(schema).validate(instance(schema, random.Random(0), terse=terse))


def test_a_poor_instance_differs_in_every_enum_boolean_and_free_text() -> None:
    for seed in range(20):
        good = instance(SCHEMAS["verdict"], random.Random(seed))
        poor = instance(SCHEMAS["verdict"], random.Random(seed), good=False)
        assert poor["risk"] != good["risk"]
        assert poor["open"] != good["open"]
        assert poor["why"].startswith("[uncertain]")
        assert poor["kind"] == good["kind"]


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/gone"},
        {"$ref": "https://example.com/schema.json"},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]},
        {"type": "array", "minItems": 100_000},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "pattern": "("},
        {"type": "string", "pattern": "a{5000}"},
        {"type": "integer", "minimum": 5, "maximum": 4},
        {"type": "number", "minimum": "5"},
        {"type": "colour"},
        {"enum": []},
        {"anyOf": "x"},
        False,
        "text",
    ],
)
def test_what_has_no_instance_is_said_in_words(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"schema|pattern|enum|anyOf"):
        instance(schema, random.Random(0))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^\d{3}-\d{2}$",
        r"[^a-z\s]+x*?y+",
        r"(cat|dog)s?",
        r"^\w+@\w+\.(com|org)$",
        r"(a|b)\1",
        r"\S\D\W",
        r"[ü-ÿ]{2}",
        r"^.{5,}$",
    ],
)
def test_texts_match_their_patterns(pattern: str) -> None:
    for seed in range(50):
        text = matching(pattern, random.Random(seed))
        assert re.search(pattern, text), text
