"""Sampling parameters that a model refuses with a 400, and that are therefore left out.

Sources: Anthropic, "Migration guide" and "Thinking": from Claude Opus 4.7 on no model takes ``temperature``, ``top_p``
or ``top_k``; Claude 4.1 to 4.6 do not take the first two together. OpenAI, "Reasoning models" and "Using GPT-5": the o
series and GPT-5 refuse them (not the chat models, nor 5.1 and later, which take them where they do not reason).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from laneway.task import Wire

_NO_SAMPLING = re.compile(r"claude-(?:(?:opus|sonnet|haiku)-(?:4[-.][7-9]|[5-9])(?!\d)|fable|mythos)")
_ONE_OF_THEM = re.compile(r"claude-(?:opus|sonnet|haiku)-4[-.][1-6](?!\d)")
_REASONING = re.compile(r"(?:^|/)(?:o[1-9]|gpt-5(?![.\w])(?!-chat))")
_ALL = ("temperature", "top_p", "top_k")


def refused(wire: Wire, model_id: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """The sampling parameters in a body that this model would refuse the whole request for."""
    present = tuple(name for name in _ALL if body.get(name) is not None)
    if not present:
        return ()
    if wire is Wire.MESSAGES:
        if _NO_SAMPLING.search(model_id):
            return present
        both = "temperature" in present and "top_p" in present
        return ("top_p",) if both and _ONE_OF_THEM.search(model_id) else ()
    if _REASONING.search(model_id):
        return tuple(name for name in present if name != "top_k" and body[name] != 1)
    return ()
