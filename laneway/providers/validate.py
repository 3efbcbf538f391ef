"""Is the answer what was asked for? Asked after a call, and again where results are written: the same question, the
same value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from laneway.providers.chat import answer_text, was_cut
from laneway.providers.complaints import TRUNCATED
from laneway.providers.reading import Unusable, read
from laneway.providers.schemas import Validator
from laneway.task import Failure, FailureClass, Spec, Wire


class Answers:
    """Values of answers to JSON Schemas. One validator a schema, for as long as this object lives."""

    def __init__(self) -> None:
        self._validators: dict[int, tuple[Mapping[str, Any], Validator]] = {}

    def value(self, schema: Mapping[str, Any], wire: Wire, output: bytes) -> Any:
        """The parsed answer. Raises Unusable when it is not what the schema asks for."""
        try:
            return read(answer_text(wire, output), self.validator(schema).fault)
        except Unusable as error:
            if error.code == "not_json" and was_cut(wire, output):
                raise Unusable(
                    TRUNCATED, "the answer was cut off at its limit of tokens, before the JSON was complete"
                ) from None
            raise

    def validator(self, schema: Mapping[str, Any]) -> Validator:
        known = self._validators.get(id(schema))
        if known is None:
            known = self._validators[id(schema)] = (schema, Validator(schema))
        return known[1]


class OutputCheck:
    """Checks answers against their type's JSON Schema."""

    def __init__(self) -> None:
        self._answers = Answers()

    def __call__(self, spec: Spec, output: bytes) -> Failure | None:
        """The failure that an answer is, in words fit to be shown to the model; None when it is as asked for."""
        if spec.output_schema is None or spec.wire is Wire.PYTHON:
            return None
        try:
            self._answers.value(spec.output_schema, spec.wire, output)
        except Unusable as error:
            return Failure(FailureClass.OUTPUT, error.code, error.message)
        return None
