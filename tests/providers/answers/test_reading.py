"""Taking the JSON out of what models write around it, and nothing that they did not say."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.providers.answers.reading import Unusable, read
from laneway.providers.answers.schemas import Validator

SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"type": "string"}, "parts": {"type": "array", "items": {"type": "object"}}},
    "required": ["verdict"],
    "additionalProperties": False,
}
FAULT = Validator(SCHEMA).fault
ANSWER = {"verdict": "pay"}


def code(text: str) -> str:
    with pytest.raises(Unusable) as caught:
        read(text, FAULT)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        '{"verdict": "pay"}',
        ' \n{"verdict":"pay"}\n',
        '```json\n{"verdict": "pay"}\n```',
        '```\n{"verdict": "pay"}\n```\nI hope this helps!',
        'Sure, here is the JSON you asked for:\n\n{"verdict": "pay"}\n\nLet me know [if needed].',
        'By rule [3] and {section}: {"verdict": "pay"}',
        '[{"verdict": "pay"}]',
        'Result: [{"verdict": "pay"}]',
        '<think>Perhaps {"verdict": "refuse"}? No.</think>\n{"verdict": "pay"}',
        '{"verdict": "pay"}\n\nAgain: {"verdict": "pay"}',
        'First {"draft": 1}, then {"verdict": "pay"}',
    ],
)
def test_what_the_model_said_is_found(text: str) -> None:
    assert read(text, FAULT) == ANSWER


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not_json"),
        ("I cannot say.", "not_json"),
        ('{"verdict": "pa', "not_json"),
        ('{"parts": [{"verdict": "pay"}', "not_json"),  # an inner object is not the answer
        ('{"verdict": "pay"} and {"verdict": "re', "not_json"),
        ('{\'parts\': {"verdict": "pay"}}', "not_json"),
        ('{"verdict": NaN}', "not_json"),
        ('[{"verdict": "pay"}, {"verdict": "pay"}]', "schema"),
        ('[[{"verdict": "pay"}]]', "schema"),
        ('{"verdict": 3}', "schema"),
        ('{"verdict": "pay"} or rather {"verdict": "refuse"}', "ambiguous"),
    ],
)
def test_what_it_did_not_say_is_not_invented(text: str, why: str) -> None:
    assert code(text) == why


def test_a_value_that_is_no_object_is_read_alone_or_from_a_fence() -> None:
    fault = Validator({"type": "integer"}).fault
    assert read("42", fault) == 42
    assert read("```json\n42\n```", fault) == 42
    with pytest.raises(Unusable):
        read("The answer is 42.", fault)


def test_line_breaks_inside_a_text_are_taken_as_they_are() -> None:
    assert read('{"verdict": "pay\nnow"}', FAULT) == {"verdict": "pay\nnow"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), _JSON, min_size=1, max_size=4), st.data())
def test_a_cut_answer_never_passes(value: dict[str, Any], data: st.DataObject) -> None:
    text = orjson.dumps(value).decode()
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    with pytest.raises(Unusable):
        read(cut, lambda value: None if isinstance(value, dict) else "no object")


@given(st.text(alphabet='{}[]",:\\a1 \n', max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(Unusable):
        read(text, FAULT)


def test_hostile_texts_take_no_time() -> None:
    for text in ("[" * 100_000, '["]", ' * 50_000, "{}" * 50_000, '{"a":' * 50_000):
        assert code(text) in ("not_json", "schema")
