"""Sampling parameters that a model refuses with a 400, and that are therefore left out of requests to it.

Sources: Anthropic, "Migration guide" and "Thinking": from Claude Opus 4.7 on no model takes ``temperature``, ``top_p``
or ``top_k``; Claude 4.1 to 4.6 do not take the first two together. OpenAI, "Reasoning models" and "Using GPT-5": the o
series and GPT-5 refuse them (not the chat models, nor 5.1 and later, which take them where they do not reason).
Whatever else refuses them says so, once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from laneway.providers.answers.structured import Asked
from laneway.task import Failure, Wire

_NO_SAMPLING = re.compile(r"claude-(?:(?:opus|sonnet|haiku)-(?:4[-.][7-9]|[5-9])(?!\d)|fable|mythos)")
_ONE_OF_THEM = re.compile(r"claude-(?:opus|sonnet|haiku)-4[-.][1-6](?!\d)")
_REASONING = re.compile(r"(?:^|/)(?:o[1-9]|gpt-5(?![.\w])(?!-chat))")
_ALL = ("temperature", "top_p", "top_k")
_NOT_TAKEN = re.compile(
    r"unsupported|not support|deprecated|not (allowed|permitted)|cannot both|only the default", re.IGNORECASE
)

log = logging.getLogger(__name__)


def known_refusals(wire: Wire, model_id: str, body: Mapping[str, Any]) -> tuple[str, ...]:
    """The sampling parameters in a body that this model is known to refuse the whole request for."""
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


class Sampling:
    """What is left out for which model: what is known beforehand, and what a refusal has taught."""

    def __init__(self) -> None:
        self._learnt: set[tuple[str, str]] = set()  # (model's id, parameter)
        self._said: set[tuple[str, str]] = set()

    def leave_out(self, asked: Asked) -> None:
        """Drop from a request what the model would refuse it for, and say so once."""
        known = known_refusals(asked.wire, asked.model, asked.data)
        for name in _ALL:
            if name in asked.data and (name in known or (asked.model, name) in self._learnt):
                del asked.data[name]
                if (asked.model, name) not in self._said:
                    self._said.add((asked.model, name))
                    log.warning("%s takes no %s: it is left out of requests to it", asked.model, name)

    def refused(self, asked: Asked, failure: Failure) -> bool:
        """Whether a request failed because of a sampling parameter, and may be sent again without it. Of two that the
        model does not take together the latter goes."""
        if failure.status not in (400, 422) or not _NOT_TAKEN.search(failure.message):
            return False
        blamed = [name for name in _ALL if name in asked.data and re.search(rf"\b{name}\b", failure.message)]
        if not blamed:
            return False
        self._learnt.add((asked.model, blamed[-1]))
        return True
