"""Example prompts must be fillable from every row that was looked at, whatever the columns are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from laneway.config.templates import Templates
from laneway.setup.material import of_rows
from laneway.setup.prompt_text import prompt_for
from laneway.setup.urgencies import meanings

names = st.text(max_size=8) | st.sampled_from(["record", "in", "none", "class"])


def filled(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    template = Templates(Path("/nowhere")).from_text("example", prompt_for(of_rows("rows.csv", rows)))
    return [template.render(row) for row in rows]


def test_columns_become_variables() -> None:
    [text] = filled([{"id": "7", "Customer name": "Ada", "amount": 12, "in": "x"}])
    assert "amount: 12" in text
    assert "id:" not in text  # the key says nothing to a model
    assert "Customer name: Ada" in text
    assert "in: x" in text
    assert not text.startswith("\n")
    assert "record: r" in filled([{"Customer name": "Ada", "record": "r", "a": "b"}])[0]


def test_a_text_alone_is_the_prompt() -> None:
    assert filled([{"id": 1, "text": "hello"}])[0].endswith("sentence.\n\nhello")


def test_a_single_column_that_is_not_always_there() -> None:
    assert len(filled([{"": "x"}, {"a": "1", "record": "2"}])) == 2


def test_what_only_some_rows_have_is_left_out_where_it_is_missing() -> None:
    first, second = filled([{"a": "1", "b": "2", "c": "3"}, {"a": "4", "b": "5"}])
    assert "c: 3" in first
    assert "c:" not in second


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dictionaries(names, st.text(max_size=5), min_size=1, max_size=5), min_size=1, max_size=3))
def test_any_names_will_do(rows: list[dict[str, str]]) -> None:
    assert len(filled(rows)) == len(rows)


def test_names_of_types() -> None:
    def name(argument: str) -> str:
        return of_rows(argument, [{"a": "1"}]).name

    assert name("Claims 2026 (final).csv") == "claims_2026_final"
    assert name("/data/Übersicht.csv") == "ubersicht"
    assert name("!!!.csv") == "documents"


def test_words_for_urgency() -> None:
    assert meanings(["High", "low", "P0", "urgent", "medium", "high"]) == {
        "immediate": ["p0"],
        "urgent": ["high"],
        "standard": ["medium"],
        "relaxed": ["low"],
    }
    assert meanings(str(n) for n in range(100)) == {}
