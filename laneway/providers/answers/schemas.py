"""JSON Schemas for answers: checked when loaded, never fetched from anywhere, bounded in what they may cost."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from laneway.config.patterns import BadPattern, schema_finder
from laneway.providers.text import shortened

FAULTS_SHOWN = 3
LONGEST_FAULT = 250  # characters


class BadSchema(ValueError):
    """A schema that cannot be used, and why."""


class Validator:
    """One schema, ready for use. Raises BadSchema when it is none, or refers to something outside itself."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from jsonschema import SchemaError
        from referencing.exceptions import Unresolvable

        try:
            self._inner = _validator(schema)
            _follow_references(schema)
            self._inner.is_valid(None)
        except SchemaError as error:
            raise BadSchema(f"not a JSON Schema: at {error.json_path}: {shortened(error.message, 200)}") from None
        except BadPattern as error:
            raise BadSchema(f"a pattern cannot be used: {error}") from None
        except Unresolvable as error:
            raise BadSchema(
                f"the reference {error.ref!r} leads nowhere; definitions stand in the schema itself, under $defs,"
                " and nothing is fetched"
            ) from None
        except RecursionError:
            raise BadSchema("the schema refers to itself without end") from None

    def fault(self, value: Any) -> str | None:
        """What is wrong with a value, in words fit to be shown to the model; None when it is as the schema says."""
        from jsonschema.exceptions import best_match

        try:
            errors = [best_match([error]) or error for error in islice(self._inner.iter_errors(value), FAULTS_SHOWN)]
        except RecursionError:
            return "it is nested too deeply"
        said = [f"at {error.json_path}: {shortened(error.message, LONGEST_FAULT)}" for error in errors]
        return "; ".join(said) or None


def _validator(schema: Mapping[str, Any]) -> Any:
    from jsonschema import validators
    from referencing.jsonschema import EMPTY_REGISTRY

    cls: Any = validators.validator_for(schema)
    cls.check_schema(schema)
    extend: Any = validators.extend
    bounded = extend(cls, _bounded_patterns({pattern: schema_finder(pattern) for pattern in _in(schema)}))
    # a registry of one's own retrieves nothing; jsonschema's default would
    return bounded(schema, registry=EMPTY_REGISTRY, format_checker=_formats())


def _in(schema: Any) -> Iterator[str]:
    """The regular expressions of a schema."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        if isinstance(schema.get("patternProperties"), Mapping):
            yield from schema["patternProperties"]
        for value in schema.values():
            yield from _in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _in(value)


def _bounded_patterns(finders: dict[str, Callable[[str], bool]]) -> Mapping[str, Any]:
    """The two keywords with regular expressions, in linear time."""
    from jsonschema import ValidationError

    def found(pattern: str) -> Callable[[str], bool]:
        if pattern not in finders:  # of a metaschema that the schema refers to
            finders[pattern] = schema_finder(pattern)
        return finders[pattern]

    def pattern_keyword(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, str) and not found(pattern)(value):
            yield ValidationError(f"{value!r} does not match {pattern!r}")

    def pattern_properties(validator: Any, patterns: Any, value: Any, schema: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            for pattern, inner in patterns.items():
                for name in filter(found(pattern), value):
                    yield from validator.descend(value[name], inner, path=name, schema_path=pattern)

    return {"pattern": pattern_keyword, "patternProperties": pattern_properties}


def _formats() -> Any:
    """The formats that are checked, the same on every machine (jsonschema's own depend on what else is installed)."""
    from jsonschema import FormatChecker

    checker = FormatChecker(("date", "email", "ipv4", "ipv6", "uuid"))
    parsers: Mapping[str, Callable[[str], object]] = {
        "date-time": datetime.datetime.fromisoformat,
        "time": datetime.time.fromisoformat,
    }
    for name, parse in parsers.items():
        checker.checks(name, raises=ValueError)(_is_text_for(parse))
    return checker


def _is_text_for(parse: Callable[[str], object]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        if isinstance(value, str):
            parse(value)
        return True

    return check


def _follow_references(schema: Mapping[str, Any]) -> None:
    """Raises Unresolvable when a reference leads out of the schema."""
    from referencing import Resource
    from referencing.jsonschema import DRAFT202012, EMPTY_REGISTRY

    root = Resource.from_contents(schema, default_specification=DRAFT202012)
    waiting = [(root, EMPTY_REGISTRY.resolver_with_root(root))]
    seen: set[int] = set()
    while waiting:
        resource, resolver = waiting.pop()
        if id(resource.contents) in seen:
            continue
        seen.add(id(resource.contents))
        if isinstance(resource.contents, Mapping):
            for word in ("$ref", "$dynamicRef"):
                if isinstance(reference := resource.contents.get(word), str):
                    found = resolver.lookup(reference)
                    if isinstance(found.contents, Mapping | bool):
                        waiting.append((Resource.from_contents(found.contents, DRAFT202012), found.resolver))
        waiting += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]
