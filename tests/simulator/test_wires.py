"""Small rules of the formats: how input is counted, how times are written."""

from __future__ import annotations

import re
from typing import Any

import pytest

from laneway.simulator.limits import Charge, KeyLimits
from laneway.simulator.options import Options
from laneway.simulator.provider import wires
from laneway.simulator.wires.base import Ask
from laneway.simulator.wires.openai import duration

DATA = "data:application/pdf;base64," + "A" * 60
FILE = {"type": "file", "file": {"file_data": DATA}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 60}}
PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0ms"),
        (0.1195, "120ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (8.64, "8.64s"),
        (360, "6m0s"),
        (3603.25, "1h0m3.25s"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


@pytest.mark.parametrize(
    ("path", "body", "tokens"),
    [
        ("chat/completions", {"messages": [{"role": "user", "content": "x" * 40}]}, 13),
        ("chat/completions", {"messages": [{"content": [{"type": "text", "text": "x" * 41}, PART]}]}, 1014),
        ("chat/completions", {"messages": [{"content": [{"type": "text", "text": "x" * 41}, FILE]}]}, 16),
        ("responses", {"input": [{"content": [{"type": "input_file", "file_data": DATA}]}]}, 5),
        ("messages", {"messages": [{"content": [{"type": "image", "source": {}}]}], "max_tokens": 5}, 1003),
        ("messages", {"messages": [{"content": [PDF]}], "max_tokens": 5}, 5),
        ("responses", {"input": "x" * 40, "instructions": "y" * 4}, 14),
        ("responses", {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x" * 8}]}]}, 5),
        ("messages", {"messages": [{"content": "x" * 40}], "system": [{"text": "y" * 4}], "max_tokens": 5}, 14),
        ("embeddings", {"input": "x" * 40}, 13),
        ("embeddings", {"input": ["x" * 40, "y"]}, 17),
        ("embeddings", {"input": [1, 2, 3]}, 3),
        ("embeddings", {"input": [[1, 2, 3], [4]]}, 4),
    ],
)  # fmt: skip
def test_input_is_four_characters_a_token_and_three_for_framing(path: str, body: dict[str, Any], tokens: int) -> None:
    assert wires()[path].understand({"model": "m", **body}).input_tokens == tokens


SAID = [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("chat/completions", {"messages": [{"content": [PDF]}]}, "'document'. Supported values are: text, image_url"),
        ("chat/completions", {"messages": SAID, "system": "x"}, "Unrecognized request argument supplied: system"),
        ("responses", {"input": [{"content": [PART]}]}, "'image_url'. Supported values are: input_text"),
        ("messages", {"messages": [{"content": [FILE]}]}, "'file'. Supported values are: text, image, document"),
        ("messages", {"messages": SAID, "response_format": {}}, "response_format: Extra inputs are not permitted"),
        ("messages", {"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ("messages", {"messages": [{"role": "assistant", "content": ""}, *SAID]}, "non-empty content"),
        ("messages", {"messages": [{"content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
        ("messages", {"messages": SAID, "temperature": 1.5}, "temperature: range: 0..1"),
        ("messages", {"messages": SAID, "stop_sequences": ["\n"]}, "non-whitespace"),
        ("messages", {"messages": SAID, "model": "claude-opus-5", "temperature": 0}, "`temperature` is deprecated"),
        (
            "messages",
            {"messages": SAID, "model": "claude-haiku-4-5", "temperature": 0, "top_p": 1},
            "cannot both be specified",
        ),
        (
            "messages",
            {"messages": [{"content": [{"type": "image", "source": {"type": "base64", "media_type": "image/bmp"}}]}]},
            "media_type",
        ),
    ],
)
def test_what_a_provider_does_not_take_is_refused_in_its_words(path: str, body: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        wires()[path].understand({"model": "m", "max_tokens": 5, **body})


def test_openai_charges_what_is_allowed_and_anthropic_what_is_used() -> None:
    ask = Ask("m", "", 100, max_tokens=500)
    assert wires()["chat/completions"].charge(ask, 50) == Charge(1, 600, 100, 50)
    assert wires()["messages"].charge(ask, 50) == Charge(1, 150, 100, 50)
    assert wires()["chat/completions"].charge(Ask("m", "", 100), 50).tokens == 150


def test_headers_tell_what_the_buckets_hold() -> None:
    limits, options = KeyLimits(), Options(rpm=600, tpm=60_000, input_tpm=6000, burst=6)
    limits.arrive(options, Charge(tokens=1000.5, input_tokens=10), 100.0)
    assert wires()["chat/completions"].limit_headers(limits, 100.0, wall=1_800_000_000.0) == {
        "x-ratelimit-limit-requests": "600",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "100ms",
        "x-ratelimit-limit-tokens": "60000",
        "x-ratelimit-remaining-tokens": "4999",
        "x-ratelimit-reset-tokens": "1.001s",
    }
    assert wires()["messages"].limit_headers(limits, 100.0, wall=1_800_000_000.0) == {
        "anthropic-ratelimit-requests-limit": "600",
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:00:01Z",
        "anthropic-ratelimit-tokens-limit": "60000",
        "anthropic-ratelimit-tokens-remaining": "4999",
        "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:02Z",
        "anthropic-ratelimit-input-tokens-limit": "6000",
        "anthropic-ratelimit-input-tokens-remaining": "590",
        "anthropic-ratelimit-input-tokens-reset": "2027-01-15T08:00:01Z",
    }
