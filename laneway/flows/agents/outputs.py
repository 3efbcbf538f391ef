"""What type of value an agent returns."""

from __future__ import annotations

import functools
import inspect
import operator
import typing
from collections.abc import Sequence
from typing import Any

from pydantic_ai import NativeOutput, PromptedOutput, TextOutput, ToolOutput


def result_type(wanted: Any) -> Any:
    """Of an agent's ``output_type``: the type as pydantic knows it, Any where it is not said."""
    match wanted:
        case ToolOutput():
            return result_type(wanted.output)
        case NativeOutput() | PromptedOutput():
            return result_type(wanted.outputs)
        case TextOutput():
            return _returned(wanted.output_function)
        case Sequence() if not isinstance(wanted, str):
            return _union([result_type(one) for one in wanted])
    if isinstance(wanted, type) or typing.get_origin(wanted) is not None:
        return wanted
    return _returned(wanted) if callable(wanted) else Any


def _returned(function: Any) -> Any:
    """What an output function returns, awaited."""
    try:
        hints = typing.get_type_hints(function if inspect.isroutine(function) else type(function).__call__)
    except (NameError, TypeError):
        return Any
    return hints.get("return", Any)


def _union(types: list[Any]) -> Any:
    return Any if Any in types or not types else functools.reduce(operator.or_, types)
