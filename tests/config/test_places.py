"""Line numbers of settings, from one statement after another."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.config.places import Place, dotted, leaves, line_numbers

TEXT = '''# a comment
app = "tasks:lw"

[models."gpt-4.1"]
params = { temperature = 0, stop = ["[x]", "b"] }
id = """
[not.a.header]
x = 1
"""
[[rules]]
when = { type = "a" }
[[rules]]
lane = "b"
[rules.when]
tags = [
  "one",
  "two",
]
text = "x"
a.b = 1
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("app",), 2),
        (("models", "gpt-4.1"), 4),
        (("models", "gpt-4.1", "params", "temperature"), 5),
        (("models", "gpt-4.1", "id"), 6),
        (("rules", 0, "when", "type"), 11),
        (("rules", 1), 12),
        (("rules", 1, "lane"), 13),
        (("rules", 1, "when", "tags"), 15),
        (("rules", 1, "when", "text"), 19),
        (("rules", 1, "when", "a", "b"), 20),
        (("not", "a", "header"), None),
    ],
)
def test_lines(place: Place, line: int | None) -> None:
    assert line_numbers(TEXT).get(place) == line


def test_dotted_names() -> None:
    assert dotted(("models", "gpt-4.1", "params")) == 'models."gpt-4.1".params'
    assert dotted(("rules", 1, "when")) == "rules[2].when"


names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=5)
tables = st.dictionaries(names, st.dictionaries(names, st.integers(0, 9), min_size=1, max_size=3), max_size=4)


@given(tables, st.integers(0, 3))
def test_every_setting_has_the_line_it_stands_on(table: dict[str, dict[str, int]], gap: int) -> None:
    lines: list[str] = []
    stands: dict[Place, int] = {}
    for name, entries in table.items():
        lines += ["# note"] * gap + [f'["{name}"]']
        stands[(name,)] = len(lines)
        for key, value in entries.items():
            lines.append(f'"{key}" = {value}')
            stands[(name, key)] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == table
    found = line_numbers(text)
    assert found == stands
    assert set(leaves(table)) <= set(found)
