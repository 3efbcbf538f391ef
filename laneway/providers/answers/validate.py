"""Is the answer what was asked for? Asked after a call, and again where results are written: the same question, the
same value."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from laneway.errors import LanewayError
from laneway.logs import Quoted
from laneway.providers.answers.checks import Answer, Check, CheckBroken, Find, compile_checks, needs_code
from laneway.providers.answers.complaints import TRUNCATED
from laneway.providers.answers.reading import Unusable, read, read_exact
from laneway.providers.answers.schemas import BadSchema, Validator
from laneway.providers.answers.structured import own_schema
from laneway.providers.chat import answer_text, was_cut
from laneway.task import Failure, FailureClass, Spec, Wire

log = logging.getLogger(__name__)


MOST_VALIDATORS = 1000  # kept at a time: every line of a batch may bring a schema of its own


class Answers:
    """Values of answers to JSON Schemas. One validator a schema."""

    def __init__(self) -> None:
        self._validators: dict[bytes, Validator] = {}

    def value(self, schema: Mapping[str, Any], wire: Wire, output: bytes) -> Any:
        """The parsed answer, out of whatever stands around it. Raises Unusable when it is not as the schema says."""
        return self._read(read, schema, wire, output)

    def exact(self, schema: Mapping[str, Any], wire: Wire, output: bytes) -> Any:
        """The same of an answer that is nothing but JSON."""
        return self._read(read_exact, schema, wire, output)

    def _read(self, reading: Callable[..., Any], schema: Mapping[str, Any], wire: Wire, output: bytes) -> Any:
        try:
            return reading(answer_text(wire, output), self.validator(schema).fault)
        except Unusable as error:
            if error.code == "not_json" and was_cut(wire, output):
                raise Unusable(
                    TRUNCATED, "the answer was cut off at its limit of tokens, before the JSON was complete"
                ) from None
            raise

    def validator(self, schema: Mapping[str, Any]) -> Validator:
        """Raises BadSchema."""
        key = orjson.dumps(schema)
        known = self._validators.get(key)
        if known is None:
            if len(self._validators) >= MOST_VALIDATORS:
                self._validators.clear()
            known = self._validators[key] = Validator(schema)
        return known


class OutputCheck:
    """Checks answers against their type's JSON Schema and its checks. ``find`` loads the functions that checks name."""

    def __init__(self, find: Find) -> None:
        self._answers = Answers()
        self._find = find
        self._checks: dict[bytes, list[Check]] = {}

    def unready(self, spec: Spec) -> Failure | None:
        """Why answers to this spec could not be checked here: known before anything is paid. None when they can."""
        try:
            self._compiled(spec)
        except LanewayError as error:
            return Failure(FailureClass.REQUEST, "check_missing", f"{error.message}; {error.hint}")
        except ValueError as error:
            return Failure(FailureClass.REQUEST, "check_missing", str(error))
        return None

    def wants_record(self, spec: Spec) -> bool:
        """Whether a check runs Python code, which may ask for the task's record and take its time."""
        return needs_code(spec.checks)

    def __call__(
        self, spec: Spec, body: bytes, output: bytes, record: Mapping[str, Any] | None = None
    ) -> Failure | None:
        """The failure that an answer to ``body`` is, in words fit to be shown to the model; None when it is as asked
        for."""
        if spec.wire in (Wire.PYTHON, Wire.EMBEDDINGS):
            return None
        exact = None if spec.output_schema is not None else _handed_on(spec, body)
        if spec.output_schema is None and exact is None and not spec.checks:
            return None
        text: Any = answer_text(spec.wire, output)
        value = text
        try:
            if spec.output_schema is not None:
                value = self._answers.value(spec.output_schema, spec.wire, output)
            elif exact is not None:
                with contextlib.suppress(BadSchema):  # the provider took it, so it is not for us to refuse it
                    value = self._answers.exact(exact, spec.wire, output)
        except Unusable as error:
            return Failure(FailureClass.OUTPUT, error.code, error.message)
        return self._checked(spec, Answer(text, value, record or {}))

    def _checked(self, spec: Spec, answer: Answer) -> Failure | None:
        try:
            faults = [fault for check in self._compiled(spec) if (fault := check(answer))]
        except CheckBroken as error:
            log.info("a check is broken: %s", Quoted(str(error)), exc_info=error.__cause__)
            return Failure(FailureClass.CODE, "check_broken", str(error)[:2000])
        return Failure(FailureClass.OUTPUT, "check", "; ".join(faults)) if faults else None

    def _compiled(self, spec: Spec) -> list[Check]:
        if not spec.checks:
            return []
        key = orjson.dumps([dict(check) for check in spec.checks])
        known = self._checks.get(key)
        if known is None:
            known = self._checks[key] = compile_checks(spec.checks, self._find)
        return known


def _handed_on(spec: Spec, body: bytes) -> Mapping[str, Any] | None:
    """The schema of an answer that is handed on as it is: its type's, for finished bodies, else the body's own."""
    of_type = next((check["schema"] for check in spec.checks if check.get("exact")), None)
    return of_type if of_type is not None else own_schema(spec.wire, body)
