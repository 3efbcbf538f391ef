"""What a task type asks of its answers: read from the config once, before anything is paid."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from laneway.config.code import is_reference, load_object
from laneway.config.models import CheckConfig, Config, TypeConfig
from laneway.errors import ConfigError
from laneway.providers.answers.reading import Unusable
from laneway.providers.answers.schemas import BadSchema, Validator
from laneway.providers.answers.validate import Answers
from laneway.providers.chat import answer_text
from laneway.task import Wire

LARGEST_SCHEMA = 1_000_000  # bytes
_MODEL_HINT = 'write output = "module:Model", with module.py beside laneway.toml, or the path of a JSON Schema'
_FUNCTION_HINT = 'write function = "module:function", with module.py beside laneway.toml'


class Asked:
    """The ``schema`` of a type's answers (None: text) and its ``checks``, as a Spec carries them. Raises ConfigError
    when they are not sound."""

    def __init__(self, config: Config, name: str, settings: TypeConfig) -> None:
        self.schema: Mapping[str, Any] | None = None
        self.checks: tuple[Mapping[str, Any], ...] = ()
        self._name = name
        self._model: Any = None  # a pydantic TypeAdapter
        self._answers = Answers()
        if settings.output is not None:
            self._output(config.folder, str(settings.output), f"[types.{name}] output")
        for number, check in enumerate(settings.checks, 1):
            self.checks += (_check(config.folder, check, f"[types.{name}] checks[{number}]"),)

    def checks_of_bodies(self) -> tuple[Mapping[str, Any], ...]:
        """What is asked of answers to finished bodies, which are handed on as they are."""
        return self.checks if self.schema is None else ({"schema": self.schema, "exact": True}, *self.checks)

    def decode(self, output: bytes, wire: Wire = Wire.CHAT) -> Any:
        """An answer as the caller wants it: text, the parsed value, or an instance of the model. Raises ConfigError
        when the config asks for something else today than it did when the answer came."""
        if self.schema is None:
            return answer_text(wire, output)
        try:
            value = self._answers.value(self.schema, wire, output)
            return value if self._model is None else self._model.validate_json(orjson.dumps(value))
        except (Unusable, ValueError) as error:  # pydantic's ValidationError is a ValueError
            raise ConfigError(
                f"the answer is not what [types.{self._name}] output asks for: {error}",
                hint="the type has changed since it was answered; `laneway explain` shows the answer as it is",
            ) from None

    def _output(self, folder: Path, output: str, place: str) -> None:
        if not is_reference(output):
            self.schema = read_schema(folder / output)
            return
        model = load_object(output, folder, f"{place}: the model", _MODEL_HINT)
        self._model, schema, code = _of_model(model, place, output)
        self.schema = _sound(schema, f"{place}: the JSON Schema of {output}")
        if code:
            self.checks = ({"model": output},)


def read_schema(path: Path) -> dict[str, Any]:
    """A JSON Schema from a file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_SCHEMA + 1)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="check the file and its permissions"
        ) from None
    if len(raw) > LARGEST_SCHEMA:
        raise ConfigError(f"{path}: larger than {LARGEST_SCHEMA:,} bytes", hint="is this the right file?")
    try:
        schema = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{path}: not JSON: {error}", hint="mend the schema") from None
    if not isinstance(schema, dict):
        raise ConfigError(f"{path}: a JSON Schema for answers is an object", hint="mend the schema")
    return _sound(schema, str(path))


def _sound(schema: dict[str, Any], place: str) -> dict[str, Any]:
    try:
        Validator(schema)
    except BadSchema as error:
        raise ConfigError(f"{place}: {error}", hint="mend the schema") from None
    return schema


def _of_model(model: Any, place: str, reference: str) -> tuple[Any, dict[str, Any], bool]:
    """Its TypeAdapter, its JSON Schema, and whether it has validators that the schema cannot express."""
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(model)
        schema = adapter.json_schema()
    except (PydanticUserError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"{place}: {reference} has no JSON Schema: {said}", hint=_MODEL_HINT) from None
    return adapter, schema, "'function-" in repr(adapter.core_schema)


def _check(folder: Path, check: CheckConfig, place: str) -> dict[str, Any]:
    said: dict[str, Any] = {} if check.message is None else {"message": check.message}
    if check.pattern is not None:
        return {"pattern": check.pattern, **said}
    if check.schema_ is not None:
        return {"schema": read_schema(folder / check.schema_), **said}
    assert check.function is not None, "a check has one kind"
    find_function(folder)(check.function, place)
    return {"function": check.function, **said}


def find_function(folder: Path) -> Callable[..., Any]:
    """Loads what checks name by ``module:name``; modules in ``folder`` are found as well. Raises ConfigError."""

    def find(reference: str, place: str = "a check") -> Any:
        found = load_object(reference, folder, f"{place}: the function", _FUNCTION_HINT)
        if not callable(found):
            raise ConfigError(f"{place}: {reference} is no function", hint=_FUNCTION_HINT)
        if inspect.iscoroutinefunction(found):
            raise ConfigError(
                f"{place}: a check is an ordinary function, not an async one",
                hint="checks look at the answer and the record and call nobody",
            )
        return found

    return find
