"""Which models refuse which sampling parameters."""

from __future__ import annotations

import pytest

from laneway.providers.sampling import known_refusals
from laneway.task import Wire

BOTH = {"temperature": 0, "top_p": 0.5}


@pytest.mark.parametrize(
    ("model_id", "names"),
    [
        ("claude-3-5-haiku-20241022", ()),
        ("claude-opus-4-20250514", ()),
        ("claude-opus-4-1-20250805", ("top_p",)),
        ("claude-haiku-4-5", ("top_p",)),
        ("anthropic.claude-sonnet-4-6-v1:0", ("top_p",)),
        ("claude-opus-4-7", ("temperature", "top_p")),
        ("claude-sonnet-5", ("temperature", "top_p")),
        ("claude-haiku-5-5", ("temperature", "top_p")),
        ("claude-fable-5", ("temperature", "top_p")),
    ],
)
def test_of_claude(model_id: str, names: tuple[str, ...]) -> None:
    assert known_refusals(Wire.MESSAGES, model_id, BOTH) == names
    assert known_refusals(Wire.MESSAGES, model_id, {"max_tokens": 5}) == ()


@pytest.mark.parametrize(
    ("model_id", "names"),
    [
        ("gpt-4o-mini", ()),
        ("gpt-5-mini", ("temperature", "top_p")),
        ("gpt-5", ("temperature", "top_p")),
        ("openai/o3", ("temperature", "top_p")),
        ("gpt-5-chat-latest", ()),
        ("gpt-5.1", ()),
        ("anthropic/claude-opus-4.7", ()),
    ],
)
def test_of_openai(model_id: str, names: tuple[str, ...]) -> None:
    assert known_refusals(Wire.CHAT, model_id, BOTH) == names
    assert known_refusals(Wire.RESPONSES, model_id, {"temperature": 1}) == ()
