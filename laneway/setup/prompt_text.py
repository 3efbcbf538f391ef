"""An example prompt over what the rows of an input really have."""

from __future__ import annotations

import json
import keyword
import re

from laneway.intake.records import KEY_FIELDS
from laneway.setup.material import Column, Material, Shape

MOST_COLUMNS = 30
STEERING = ("type", "lane", "model", "urgency", "deadline", "tags", *KEY_FIELDS)  # what Laneway itself reads of a row
_RESERVED = {"true", "false", "none", "and", "or", "not", "is", "in", "if", "else", "record"}


def prompt_for(material: Material) -> str:
    """A Jinja2 template that every row that was looked at can fill."""
    if material.shape is Shape.DOCUMENTS:
        return _for_documents()
    columns = [column for column in material.columns if column.name not in STEERING] or list(material.columns)
    if any(column.name == "record" for column in columns):  # then `record` is that column, not the row
        columns = [c for c in columns if _plain(c.name) or (c.name == "record" and c.always)]
    shown = columns[:MOST_COLUMNS]
    kind = f"types.{material.name}"
    head = (
        f"{{# The prompt of [{kind}] in laneway.toml, a Jinja2 template. {{{{ name }}}} stands for the row's value.\n"
        "   Say here what you want; whatever stands between these marks is not sent. -#}\n"
    )
    if len(shown) == 1 and shown[0].always:
        return head + f"Summarise the following in one sentence.\n\n{_value(shown[0])}\n"
    lines = "".join(map(_line, shown))
    return head + f"Read this entry and say in one sentence what has to be done about it, and why.\n\n{lines}"


def _for_documents() -> str:
    return (
        "{# What is asked of every document, a Jinja2 template: {{ name }} is the file's name. The document itself\n"
        "   comes with it by itself. Say here what you want; whatever stands between these marks is not sent. -#}\n"
        "Summarise the document {{ name }} in three sentences. Name amounts, dates and persons.\n"
    )


def _line(column: Column) -> str:
    label = re.sub(r"[{}\s]+", " ", column.name).strip()
    line = f"{label}: {_value(column)}\n"
    if column.always:
        return line
    there = f"{column.name} is defined" if _plain(column.name) else f"{_quoted(column.name)} in record"
    return f"{{% if {there} %}}{line}{{% endif %}}"


def _value(column: Column) -> str:
    direct = _plain(column.name) or column.name == "record"
    return f"{{{{ {column.name if direct else f'record[{_quoted(column.name)}]'} }}}}"


def _plain(name: str) -> bool:
    """Whether a column's name can stand in a template as it is."""
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and name.lower() not in _RESERVED


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)
