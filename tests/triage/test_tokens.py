"""Estimates of tokens: their order of magnitude, and that nothing in a message breaks them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.triage.tokens import PER_MESSAGE, PER_REQUEST, estimate, estimate_chat


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("", 0, 0), ("a", 1, 1), ("word " * 80, 100, 100), ("漢字" * 50, 70, 120), ("привет " * 10, 20, 50), ("é", 1, 1)],
)
def test_estimates(text: str, low: int, high: int) -> None:
    assert low <= estimate(text) <= high


@given(st.text(st.characters()), st.text(st.characters()))
def test_more_text_is_never_fewer_tokens(one: str, other: str) -> None:
    assert estimate(one + other) >= max(estimate(one), estimate(other)) >= 0
    assert estimate(one + other) <= estimate(one) + estimate(other) + 1


@pytest.mark.parametrize(
    ("message", "tokens"),
    [
        ({"role": "user", "content": "word " * 80}, 100),
        ({"role": "user", "content": None}, 0),
        (
            {"role": "user", "content": [{"type": "text", "text": "word " * 80}, {"type": "image_url"}]},
            100 + 765,  # 1024 × 1024, in tiles
        ),
        ({"role": "user", "content": [{"type": "tool_result", "content": "word " * 80}]}, 104),
        ({"role": "user", "content": [{"type": "file", "file": {"file_data": "x" * 60_001}}]}, 4000),
        ({"role": "user", "content": [{"type": "document", "source": {"data": "x"}}]}, 2000),
        ({"role": "assistant", "tool_calls": [{"function": {"name": "find", "arguments": "{}" * 20}}]}, 15),
    ],
)
def test_messages(message: dict[str, Any], tokens: int) -> None:
    assert estimate_chat([message]) == PER_REQUEST + PER_MESSAGE + tokens
    assert estimate_chat([]) == PER_REQUEST


anything = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "text", "content", "file"]), inner),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "tool_calls", "name"]), anything), max_size=3))
def test_no_message_breaks_it(messages: list[dict[str, Any]]) -> None:
    assert estimate_chat(messages) >= PER_REQUEST
