"""Is the answer what was asked for?"""

from __future__ import annotations

from typing import Any

import orjson

from laneway.providers.chat import answer_text, was_cut
from laneway.task import Failure, FailureClass, Spec, Wire


class OutputCheck:
    """Checks answers against their type's JSON Schema. One validator a schema."""

    def __init__(self) -> None:
        self._validators: dict[int, tuple[Spec, Any]] = {}

    def __call__(self, spec: Spec, output: bytes) -> Failure | None:
        """The failure that an answer is, in words fit to be shown to the model; None when it is as asked for."""
        if spec.output_schema is None or spec.wire is Wire.PYTHON:
            return None
        text = unfenced(answer_text(spec.wire, output))
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if was_cut(spec.wire, output):
                return Failure(FailureClass.OUTPUT, "truncated", "the answer was cut off before the JSON was complete")
            return Failure(FailureClass.OUTPUT, "not_json", f"the answer is not JSON: {error}")
        fault = next(iter(self._validator(spec).iter_errors(value)), None)
        if fault is None:
            return None
        return Failure(FailureClass.OUTPUT, "schema", f"at {fault.json_path}: {fault.message}"[:500])

    def _validator(self, spec: Spec) -> Any:
        known = self._validators.get(id(spec))
        if known is None:
            from jsonschema import validators

            schema = dict(spec.output_schema or {})
            cls = validators.validator_for(schema)
            known = self._validators[id(spec)] = (spec, cls(schema))
        return known[1]


def unfenced(text: str) -> str:
    """JSON without the Markdown fence that models like to put around it."""
    text = text.strip()
    if text.startswith("```"):
        text = text.partition("\n")[2].rpartition("```")[0].strip()
    return text
