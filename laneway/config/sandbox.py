"""The Jinja2 environment that prompts are rendered in. Imported only when there is a template: Jinja2 takes 50 ms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from laneway.config.places import own_file

LARGEST_VALUE = 20_000_000  # characters or bits that one expression may make


class Missing(StrictUndefined):
    """A field that the record does not have; says so in the prompt's own words."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name = self._undefined_name
        if self._undefined_obj is missing:
            return f"the prompt asks for {{{{ {name} }}}}"
        return f"the prompt asks for {name!r} inside a field where there is none"


class _Includes(FileSystemLoader):
    """From the folder or below: links lead nowhere else, and hidden files (``.env``) are no templates."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        source, name, fresh = super().get_source(environment, template)
        folder = Path(self.searchpath[0]).resolve()
        if not own_file(Path(name), [folder]):
            raise TemplateNotFound(template)
        return source, name, fresh


class PromptEnvironment(SandboxedEnvironment):
    """Sandboxed; includes only from one folder. ``{{ order.items }}`` means the record's "items", never a method; null
    is nothing, lists and tables are JSON."""

    intercepted_binops = frozenset(["*", "**"])

    def __init__(self, folder: Path) -> None:
        super().__init__(
            loader=_Includes(folder), undefined=Missing, autoescape=False, finalize=_finalize, cache_size=400
        )
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name, None)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*" and _product(left, right) > LARGEST_VALUE:
            raise SecurityError("a product in the template is too large")
        if operator == "**" and _power(left, right) > LARGEST_VALUE // 1000:
            raise SecurityError("a power in the template is too large")
        return super().call_binop(context, operator, left, right)


def _product(left: Any, right: Any) -> int:
    """How long ``"text" * 5`` would be; 0 where it makes no text or list."""
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str | bytes | list | tuple) and isinstance(other, int):
            return len(one) * other
    return 0


def _power(left: Any, right: Any) -> int:
    """About how many bits the result would have; 0 where it is no whole number."""
    return left.bit_length() * abs(right) if isinstance(left, int) and isinstance(right, int) else 0


def _finalize(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return value
