"""What the simulated models say: plain text, or an instance of the JSON Schema that was asked for."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

_TEXT = (
    "the claim is covered subject to section four and should be reviewed by the team before friday because the invoice "
    "total differs from the order and the customer was promised a reply within one day while the contract renews"
)
_WORDS = _TEXT.split()
POOR = "[uncertain]"


def text(rng: random.Random, tokens: int, good: bool) -> str:
    """About ``tokens`` tokens of prose that says it is simulated; a poor answer is marked ``[uncertain]``."""
    words = max(4, int(tokens * 0.75))
    body = " ".join(rng.choice(_WORDS) for _ in range(max(0, words - 3)))
    return f"{'' if good else POOR + ' '}Simulated answer: {body}."


def instance(schema: Any, rng: random.Random, root: Mapping[str, Any] | None = None, depth: int = 0) -> Any:
    """A value that the schema accepts. Knows the keywords that structured output of the providers allows."""
    root = root if root is not None else schema
    if not isinstance(schema, Mapping) or depth > 20:
        return "simulated"
    if "$ref" in schema:
        return instance(_resolve(root, schema["$ref"]), rng, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return instance(schema[key][0], rng, root, depth + 1)
    if schema.get("allOf"):
        merged: dict[str, Any] = {}
        for part in schema["allOf"]:
            part = _resolve(root, part["$ref"]) if "$ref" in part else part
            merged = {**merged, **part, "properties": {**merged.get("properties", {}), **part.get("properties", {})}}
        return instance(merged, rng, root, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object" or (kind is None and "properties" in schema):
        return {name: instance(part, rng, root, depth + 1) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        least = int(schema.get("minItems", 1))
        n = min(max(least, 1), int(schema.get("maxItems", max(least, 1))))
        return [instance(schema.get("items", {}), rng, root, depth + 1) for _ in range(n)]
    if kind in ("integer", "number"):
        return _number(schema, rng, whole=kind == "integer")
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null":
        return None
    return _text_value(schema, rng)


def _resolve(root: Mapping[str, Any], ref: str) -> Any:
    value: Any = root
    for part in ref.removeprefix("#/").split("/"):
        value = value[part] if part else value
    return value


def _number(schema: Mapping[str, Any], rng: random.Random, *, whole: bool) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + 100))
    if whole:
        low = int(low) + ("exclusiveMinimum" in schema)
        high = int(high) - ("exclusiveMaximum" in schema)
        step = int(schema.get("multipleOf", 1))
        return -(-low // step) * step if step > 1 else rng.randint(low, max(low, high))
    return round(low + (high - low) * (0.25 + rng.random() / 2), 4)


_FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "time": "09:30:00Z",
    "email": "someone@example.com",
    "uuid": "6f1c0b9e-5d0a-4a3e-9d52-1f5b8a7c2e10",
    "uri": "https://example.com/",
}


def _text_value(schema: Mapping[str, Any], rng: random.Random) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    value = "simulated " + " ".join(rng.choice(_WORDS) for _ in range(3))
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    while len(value) < least:
        value += " " + rng.choice(_WORDS)
    return value if most is None else value[: int(most)]
