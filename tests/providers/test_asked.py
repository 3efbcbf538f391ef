"""What a request asks, in each format."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from laneway.providers.chat import asked_text
from laneway.task import Wire


@pytest.mark.parametrize(
    ("wire", "body", "text"),
    [
        (Wire.CHAT, {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]}, "hi"),
        (
            Wire.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "file"}]}]},
            "hi\n",
        ),
        (Wire.MESSAGES, {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]}, "b"),
        (Wire.RESPONSES, {"input": "hi"}, "hi"),
        (Wire.CHAT, {"messages": [{"role": "system", "content": "s"}]}, ""),
        (Wire.EMBEDDINGS, {"input": ["a"]}, ""),
    ],
)
def test_what_was_asked_last(wire: Wire, body: dict[str, Any], text: str) -> None:
    assert asked_text(wire, orjson.dumps(body)) == text
