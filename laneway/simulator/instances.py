"""An instance of a JSON Schema: what a model that is held to the schema could have answered.

Knows what the providers' structured output allows and a little more: types, enum, const, required, nested objects and
arrays, bounds, formats, patterns, ``$ref``/``$defs`` (recursive ones too), anyOf and oneOf (the first branch), allOf
(merged). It does not know ``not``, ``if``, ``contains``, ``dependent*`` and ``patternProperties``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

from laneway.simulator.patterns import matching

POOR = "[uncertain]"
MOST_VALUES = 2_000
LONGEST_TEXT = 100_000  # characters
_DEEP = 6  # from here on only what must be there, so that recursive schemas end
_DEEPEST = 80
_WORDS = ("claim", "section", "review", "team", "invoice", "order", "customer", "reply", "contract", "refund")
_FORMATS = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T09:30:00Z",
    "time": "09:30:00Z",
    "duration": "P3D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "6f1c0b9e-5d0a-4a3e-9d52-1f5b8a7c2e10",
    "uri": "https://example.com/",
}

Schema = Mapping[str, Any]


def instance(schema: Any, rng: random.Random, *, good: bool = True, terse: bool = False) -> Any:
    """A value that the schema accepts. ``good`` False: right in shape and wrong in content: another member of each
    enum, each boolean turned round, free texts marked ``[uncertain]``. ``terse``: as short as can be.

    Raises ValueError, in words for the client, where there is no such value or it would never end.
    """
    return _Maker(schema, rng, good, terse).make(schema, 0)


class _Maker:
    def __init__(self, root: Any, rng: random.Random, good: bool, terse: bool) -> None:
        self._root, self._rng, self._good, self._terse = root, rng, good, terse
        self._made = 0

    def make(self, schema: Any, depth: int) -> Any:
        self._count(depth)
        if schema is True or schema == {}:
            return self._text({})
        schema = self._flat(_mapping(schema), depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._member(schema["enum"])
        makers: dict[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, depth),
            "integer": lambda: self._whole(schema),
            "number": lambda: self._number(schema),
            "boolean": lambda: (self._rng.random() < 0.5) is self._good,
            "null": lambda: None,
            "string": lambda: self._text(schema),
        }
        kind = self._kind(schema, depth)
        if kind not in makers:
            raise ValueError(f"the schema has an unknown type {kind!r}")
        return makers[kind]()

    def _count(self, depth: int) -> None:
        self._made += 1
        if depth > _DEEPEST or self._made > MOST_VALUES:
            raise ValueError("the schema asks for an instance that is too large or never ends")

    def _flat(self, schema: Schema, depth: int) -> Schema:
        """The schema with its references, branches and allOf put into one."""
        for _ in range(_DEEPEST):
            if "$ref" in schema:
                schema = _merged(_without(schema, "$ref"), self._resolve(schema["$ref"]))
            elif "allOf" in schema:
                parts = schema["allOf"]
                schema = _without(schema, "allOf")
                for part in parts:
                    self._count(depth + 1)
                    schema = _merged(schema, self._flat(_mapping(part), depth + 1))
            elif "anyOf" in schema or "oneOf" in schema:
                word = "anyOf" if "anyOf" in schema else "oneOf"
                schema = _merged(_without(schema, word), self._branch(schema[word], depth))
            else:
                return schema
        raise ValueError("the schema refers to itself without end")

    def _branch(self, branches: Any, depth: int) -> Schema:
        if not isinstance(branches, list) or not branches:
            raise ValueError("anyOf and oneOf take a list of schemas")
        if depth < _DEEP:
            return _mapping(branches[0])
        plain = [one for one in branches if isinstance(one, Mapping) and "$ref" not in one and "properties" not in one]
        return _mapping((plain or branches)[0])

    def _resolve(self, ref: Any) -> Schema:
        if not isinstance(ref, str) or not ref.startswith("#"):
            raise ValueError(f"the schema refers to {ref!r}; only '#/…' is looked up")
        value: Any = self._root
        for part in ref[1:].split("/")[1:]:
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                value = value[int(name)] if isinstance(value, list) else value[name]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ValueError(f"the schema refers to {ref!r}, which is not there") from None
        return _mapping(value)

    def _kind(self, schema: Schema, depth: int) -> str:
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            return "null" if depth >= _DEEP and "null" in kind else str(kind[0])
        if kind is not None:
            return str(kind)
        for found, words in (
            ("object", ("properties", "required", "additionalProperties", "minProperties")),
            ("array", ("items", "prefixItems", "minItems")),
            ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
        ):
            if any(word in schema for word in words):
                return found
        return "string"

    def _member(self, members: Any) -> Any:
        if not isinstance(members, list) or not members:
            raise ValueError("enum takes a list that is not empty")
        index = self._rng.randrange(len(members))
        return members[index if self._good else (index + 1) % len(members)]

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        others = schema.get("additionalProperties", True)
        names = list(required if depth >= _DEEP or self._terse else dict.fromkeys([*properties, *required]))
        if "maxProperties" in schema:
            optional = [name for name in names if name not in required]
            kept = optional[: max(0, _count_in(schema, "maxProperties", 0) - len(required))]
            names = [name for name in names if name in required or name in kept]
        least = min(_count_in(schema, "minProperties", 0), MOST_VALUES)
        names += [name for name in properties if name not in names][: max(0, least - len(names))]
        names += [f"item_{i}" for i in range(1, least - len(names) + 1)]
        return {name: self.make(properties.get(name, others), depth + 1) for name in names}

    def _array(self, schema: Schema, depth: int) -> list[Any]:
        first, rest = schema.get("prefixItems", []), schema.get("items", True)
        least = _count_in(schema, "minItems", 0)
        n = least if depth >= _DEEP or self._terse else max(least, len(first), 1)
        n = min(n, _count_in(schema, "maxItems", n))
        if rest is False:
            n = min(n, len(first))
        made: list[Any] = []
        for i in range(n):
            value = self.make(first[i] if i < len(first) else rest, depth + 1)
            for _ in range(50 if schema.get("uniqueItems") else 0):
                if value not in made:
                    break
                value = self.make(first[i] if i < len(first) else rest, depth + 1)
            made.append(value)
        return made

    def _whole(self, schema: Schema) -> int:
        low, high = _bounds(schema)
        step = Fraction(str(schema.get("multipleOf", 1))).numerator or 1
        least = -math.inf if low is None else math.floor(low[0]) + 1 if low[1] else math.ceil(low[0])
        most = math.inf if high is None else math.ceil(high[0]) - 1 if high[1] else math.floor(high[0])
        if math.isinf(least):
            least = 0 if most >= 0 else most - 100 * step
        start = -(-least // step)
        end = start + 100 if math.isinf(most) else min(most // step, start + 100)
        if start > end:
            raise ValueError("the schema has bounds that no whole number keeps")
        return int(self._rng.randint(int(start), int(end)) * step)

    def _number(self, schema: Schema) -> float:
        low, high = _bounds(schema)
        if "multipleOf" in schema:
            return self._multiple(float(schema["multipleOf"]), low, high)
        least = low[0] if low else (0.0 if high is None or high[0] > 0 else high[0] - 100)
        most = high[0] if high else least + 100
        if least > most:
            raise ValueError("the schema has bounds that no number keeps")
        value = least + (most - least) * (0.25 + self._rng.random() / 2)
        rounded = round(value, 4)
        return rounded if least < rounded < most else value

    def _multiple(self, step: float, low: tuple[float, bool] | None, high: tuple[float, bool] | None) -> float:
        """A multiple that stays one when it is divided again, as validators do."""
        start = math.floor(low[0] / step) + (1 if low[1] else 0) if low else (math.ceil(high[0] / step) if high else 0)
        direction = -1 if high and not low else 1
        for i in range(self._rng.randrange(20) if not high else 0, 2_000):
            value = round((start + direction * i) * step, 10)
            above = not low or value > low[0] or (value == low[0] and not low[1])
            below = not high or value < high[0] or (value == high[0] and not high[1])
            if above and below and value / step == int(value / step):
                return value
        raise ValueError("the schema has bounds that no multiple keeps")

    def _text(self, schema: Schema) -> str:
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        if "pattern" in schema:
            return matching(str(schema["pattern"]), self._rng)
        value = "simulated" if self._terse else f"simulated {' '.join(self._rng.choices(_WORDS, k=3))}"
        if not self._good:
            value = f"{POOR} {value}"
        least, most = _count_in(schema, "minLength", 0), _count_in(schema, "maxLength", LONGEST_TEXT)
        if least > LONGEST_TEXT:
            raise ValueError(f"the schema asks for a text of {least} characters; {LONGEST_TEXT} are the most")
        if len(value) < least:
            value += "." * (least - len(value)) if self._terse else (" " + " ".join(_WORDS)) * least
            value = value[:least]
        return value[:most]


def _bounds(schema: Schema) -> tuple[tuple[float, bool] | None, tuple[float, bool] | None]:
    """(low, high), each a number and whether it is itself excluded, or None."""
    lows = [(schema[word], out) for word, out in (("minimum", False), ("exclusiveMinimum", True)) if word in schema]
    highs = [(schema[word], out) for word, out in (("maximum", False), ("exclusiveMaximum", True)) if word in schema]
    for value, _ in [*lows, *highs]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"the schema has {value!r} where a number is expected")  # noqa: TRY004 - as all others
    low = max(lows) if lows else None
    high = min(highs, key=lambda bound: (bound[0], not bound[1])) if highs else None
    return low, high


def _count_in(schema: Schema, word: str, default: int) -> int:
    value = schema.get(word, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or value < 0:
        raise ValueError(f"the schema has {value!r} where a whole number is expected")
    return int(value)


def _mapping(schema: Any) -> Schema:
    if schema is True:
        return {}
    if not isinstance(schema, Mapping):
        raise ValueError(f"the schema has {schema!r} where a schema is expected")  # noqa: TRY004 - as all others
    return schema


def _without(schema: Schema, word: str) -> Schema:
    return {name: value for name, value in schema.items() if name != word}


def _merged(one: Schema, other: Schema) -> Schema:
    merged = {**one, **other}
    for word in ("properties", "$defs", "definitions"):
        if word in one and word in other:
            merged[word] = {**one[word], **other[word]}
    if "required" in one and "required" in other:
        merged["required"] = list(dict.fromkeys([*one["required"], *other["required"]]))
    return merged
