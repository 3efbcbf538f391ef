"""Records as calls of a Python task or flow: their fields are its arguments."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from laneway.errors import InputError, UsageError
from laneway.intake.prompts import TEXT_FIELDS, Document, Rendered, record_text

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from laneway.app.laneway import Laneway
    from laneway.app.python.tasks import TaskFunction

P = inspect.Parameter
NAMED = (P.POSITIONAL_OR_KEYWORD, P.KEYWORD_ONLY)
WHOLE = (dict, Mapping)  # what an only argument is annotated with, to get the whole record


class Calls:
    """Makes a call of each record. Fields that the function does not know (a key, tags) are left out."""

    def __init__(self, lw: Laneway, function: TaskFunction[..., Any]) -> None:
        settings = lw.config.types.get(function.name)
        self.name = function.name
        self.key_field = settings.key if settings else None
        self.spec = lw.preparing.spec(function)
        self._function = function
        self._parameters = dict(inspect.signature(function.function).parameters)
        self._takes_any = any(p.kind is P.VAR_KEYWORD for p in self._parameters.values())

    def render(self, record: Mapping[str, Any], document: Document | None = None) -> Rendered:
        """The call's body. Raises InputError when the record does not fit the function."""
        arguments = {name: self._value(name, value) for name, value in self._chosen(record).items()}
        try:
            body = self._function.encode((), {k: v for k, v in arguments.items() if v is not P.empty})
        except UsageError as error:
            raise InputError(error.message) from None
        return Rendered(body, document.text if document else record_text(record), 0, 0, {})

    def _chosen(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        """By name; an only argument may also be the record's text, its value, or all of it."""
        if self._takes_any:
            return record
        named = {name: record[name] for name, p in self._parameters.items() if p.kind in NAMED and name in record}
        only = self._only
        if only is None or only in named:
            return named
        if "value" in record and len(record) == 1:
            return {only: record["value"]}
        if self._whole(only):
            return {only: dict(record)}
        text = next((record[name] for name in TEXT_FIELDS if isinstance(record.get(name), str)), None)
        return named if text is None else {**named, only: text}

    @cached_property
    def _only(self) -> str | None:
        """The one argument that must be given."""
        needed = [name for name, p in self._parameters.items() if p.kind in NAMED and p.default is P.empty]
        return needed[0] if len(needed) == 1 else None

    def _whole(self, name: str) -> bool:
        kind = self._hints.get(name)
        kind = typing.get_origin(kind) or kind
        return kind in WHOLE or hasattr(kind, "model_validate") or hasattr(kind, "__dataclass_fields__")

    @cached_property
    def _hints(self) -> Mapping[str, Any]:
        try:
            return typing.get_type_hints(self._function.function, include_extras=True)
        except (NameError, TypeError):  # names that only a type checker knows
            return {}

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        from pydantic import TypeAdapter

        return {name: TypeAdapter(kind) for name, kind in self._hints.items() if kind not in (Any, str)}

    def _value(self, name: str, value: Any) -> Any:
        """As its annotation asks: a table's cells are texts. Empty ones are left out where there is a default."""
        adapter = self._adapters.get(name)
        if adapter is None:
            return value
        if value == "" and self._parameters[name].default is not P.empty:
            return P.empty
        from pydantic import ValidationError

        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            if isinstance(value, str):
                try:
                    return adapter.validate_json(value)
                except ValidationError:
                    pass
            fault = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in (name, *fault["loc"]))
            raise InputError(f"{self.name}: {place}: {fault['msg']}") from None
