"""What a task type asks of its answers beyond their JSON Schema: patterns, a second schema, a Python function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from laneway.config.patterns import finder
from laneway.providers.answers.reading import Unusable, read
from laneway.providers.answers.schemas import Validator
from laneway.providers.text import shortened

LONGEST_FAULT = 500  # characters that a function may say
THE_ANSWERS_FAULT = (ValueError, AssertionError, LookupError)  # raised by a function; anything else is its own fault
Find = Callable[[str], Any]  # a function or model by ``module:name``


class CheckBroken(Exception):
    """A check that is at fault itself: no other answer would mend it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check may look at. ``value``: the parsed answer, or its text where no JSON was asked for. ``record``: the
    input's columns, {} where there are none."""

    text: str
    value: Any
    record: Mapping[str, Any]


Check = Callable[[Answer], "str | None"]


def compile_checks(checks: Sequence[Mapping[str, Any]], find: Find) -> list[Check]:
    """The checks of a Spec, ready for use, but for exact schemas: by those the answer is read. Raises what ``find``
    raises, BadPattern and BadSchema."""
    return [_with_message(_compiled(check, find), check.get("message")) for check in checks if not check.get("exact")]


def needs_code(checks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any of them runs Python code of the user's."""
    return any("function" in check or "model" in check for check in checks)


def _compiled(check: Mapping[str, Any], find: Find) -> Check:
    match check:
        case {"pattern": str(pattern)}:
            return _pattern(pattern)
        case {"schema": Mapping() as schema}:
            return _schema(schema)
        case {"function": str(name)}:
            return function_check(name, find(name))
        case {"model": str(name)}:
            return model_check(find(name))
    raise ValueError(f"this version knows no check {sorted(check)}")


def _pattern(pattern: str) -> Check:
    found = finder(pattern)
    return lambda answer: None if found(answer.text) else f"the answer does not match {pattern!r}"


def _schema(schema: Mapping[str, Any]) -> Check:
    validator = Validator(schema)

    def check(answer: Answer) -> str | None:
        if answer.value is not answer.text:
            return validator.fault(answer.value)
        try:
            read(answer.text, validator.fault)
        except Unusable as error:
            return error.message
        return None

    return check


def function_check(name: str, function: Callable[..., Any]) -> Check:
    """A function of the answer, or of the answer and its record. It returns None or what is wrong, or raises that."""
    with_record = _takes_two(function)

    def check(answer: Answer) -> str | None:
        try:
            said = function(answer.value, answer.record) if with_record else function(answer.value)
        except THE_ANSWERS_FAULT as error:
            words = f"missing: {error}" if isinstance(error, LookupError) else str(error)
            return shortened(words, LONGEST_FAULT) or f"it does not pass {name}"
        except Exception as error:
            raise CheckBroken(f"the check {name} raised {type(error).__name__}: {error}") from error
        if said is None or said is True or said == "":
            return None
        if said is False:
            return f"it does not pass {name}"
        if not isinstance(said, str):
            raise CheckBroken(f"the check {name} returned {type(said).__name__}, and not what is wrong or None")
        return shortened(said, LONGEST_FAULT)

    return check


def model_check(model: Any) -> Check:
    """A pydantic model's own validators."""
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[Any] = TypeAdapter(model)

    def check(answer: Answer) -> str | None:
        try:
            adapter.validate_json(orjson.dumps(answer.value))
        except ValidationError as error:
            return validation_words(error)
        except Exception as error:
            raise CheckBroken(f"a validator of {model} raised {type(error).__name__}: {error}") from error
        return None

    return check


def validation_words(error: Any) -> str:
    """A pydantic ValidationError in a few words, for the model."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"at {'.'.join(map(str, fault['loc'])) or 'the answer'}: {fault['msg']}" for fault in faults[:3]]
    return shortened("; ".join(said), LONGEST_FAULT)


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    required = [p for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]
    return len(required) >= 2 or any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)


def _with_message(check: Check, message: str | None) -> Check:
    if message is None:
        return check
    return lambda answer: message if check(answer) else None
