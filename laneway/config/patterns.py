"""Regular expressions over what models wrote, in bounded time.

Python's ``re`` may take exponential time over a hostile text and cannot be interrupted. The engine that pydantic
carries (Rust's ``regex``) takes time linear in the text whatever the pattern, at the price of look-around and back
references.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST_FOR_RE = 1000  # characters that a pattern with look-around may be tried on


class BadPattern(ValueError):
    """A pattern that cannot be used, and why."""


def finder(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern is found in a text, in linear time. Raises BadPattern."""
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        found = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex", strict=True))
    except SchemaError as error:
        lines = [line.removeprefix("error:").strip() for line in str(error).splitlines()]
        raise BadPattern(lines[-1] if lines else "not a regular expression") from None
    return found.isinstance_python


def schema_finder(pattern: str) -> Callable[[str], bool]:
    """The same for a JSON Schema's ``pattern``, where look-around is common: that goes to ``re``, and nothing is found
    in a text beyond ``LONGEST_FOR_RE``. Raises BadPattern."""
    try:
        return finder(pattern)
    except BadPattern as error:
        try:
            search = re.compile(pattern).search
        except (re.error, RecursionError):
            raise error from None
        return lambda text: len(text) <= LONGEST_FOR_RE and search(text) is not None
