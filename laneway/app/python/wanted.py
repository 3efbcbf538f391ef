"""What ``lw.call`` was asked to return."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from laneway.errors import UsageError
from laneway.providers.answers.checks import Answer, function_check, validation_words
from laneway.providers.answers.reading import Unusable
from laneway.providers.answers.schemas import BadSchema
from laneway.providers.answers.validate import Answers
from laneway.providers.chat import answer_text
from laneway.task import Wire


class Wanted:
    """A text, a value of a JSON Schema, or an instance of a type that pydantic knows; and a ``check`` that it has to
    pass. Raises UsageError for what cannot be asked for."""

    def __init__(self, answers: Answers, output: Any, check: Callable[..., Any] | None) -> None:
        self._answers = answers
        self._adapter = None if output is None or isinstance(output, Mapping) else _adapter(output)
        self.schema: Mapping[str, Any] | None = output if isinstance(output, Mapping) else None
        try:
            if self._adapter is not None:
                self.schema = self._adapter.json_schema()
            if self.schema is not None:
                answers.validator(self.schema)
        except (BadSchema, TypeError) as error:
            raise UsageError(f"output: {error}", hint="mend the schema") from None
        name = getattr(check, "__name__", "check")
        self._check = None if check is None else function_check(name, check)

    def read(self, output: bytes) -> Any:
        """What to return for a Chat Completions answer. Raises Unusable, and CheckBroken."""
        value = text = answer_text(Wire.CHAT, output)
        if self.schema is not None:
            value = self._answers.value(self.schema, Wire.CHAT, output)
        if self._adapter is not None:
            value = self._instance(value)
        if self._check is not None and (fault := self._check(Answer(text, value, {}))):
            raise Unusable("check", fault)
        return value

    def _instance(self, value: Any) -> Any:
        from pydantic import ValidationError

        assert self._adapter is not None
        try:
            return self._adapter.validate_json(orjson.dumps(value))
        except ValidationError as error:
            raise Unusable("check", validation_words(error)) from None


def _adapter(output: Any) -> Any:
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(output)
    except (PydanticUserError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise UsageError(
            f"output: {output!r} is nothing that an answer could become: {said}",
            hint="give a pydantic model, a dataclass, or a JSON Schema as a dict",
        ) from None
