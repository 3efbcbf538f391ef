"""What the simulated models say. The same seed, model and request always bring the same answer.

Each request has a difficulty, drawn uniformly from seed and text alone; a model answers it well if its quality is above
that. So of two models the better one succeeds wherever the lesser does, and all good answers to a request agree.
"""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import orjson

from laneway.simulator.instances import POOR, instance

CHARS_PER_TOKEN = 4
_OPENING = "Simulated answer: "
_PHRASES = (
    "the claim is covered subject to section four",
    "it should be reviewed by the team before friday",
    "the invoice total differs from the order",
    "the customer was promised a reply within one day",
    "while the contract renews in march",
    "because the notice came too late",
    "and nothing else has been paid so far",
    "unless both sides agree in writing",
    "so the refund can go out today",
    "as the second letter already says",
    "which leaves the deposit untouched",
    "and the policy does not exclude it",
)
_SHORTEST = 30  # characters, of these phrases


@dataclass(frozen=True, slots=True)
class Said:
    """An answer's content. ``cut_off``: it would have been longer than the request allows. ``good``: for the books."""

    text: str
    tokens: int
    cut_off: bool = False
    good: bool = True


def tokens_in(text: str) -> int:
    """The simulator's whole tokenizer: four characters are a token, rounded up."""
    return -(-len(text) // CHARS_PER_TOKEN)


def length_of(seed: int, text: str, median: int, sigma: float) -> int:
    """How many tokens a plain-text answer to this request has: log-normal, drawn from seed and text alone."""
    if not sigma:
        return median
    digest = hashlib.blake2b(f"{seed}|length|{text}".encode("utf-8", "replace"), digest_size=8).digest()
    uniform = (int.from_bytes(digest) + 0.5) / 2**64
    return max(1, round(median * math.exp(NormalDist(0.0, sigma).inv_cdf(uniform))))


def say(
    seed: int,
    text: str,
    schema: Any,
    quality: float,
    output_tokens: int,
    max_tokens: int | None,
    *,
    marked: float = 1.0,
    alarms: float = 0.0,
) -> Said:
    """Answer a request's ``text``. ``schema``: None for plain text of ``output_tokens``, else a JSON Schema; its
    instance is as long as it has to be. ``marked``, ``alarms``: shares of poor and of good plain answers that begin
    with ``[uncertain]``. Raises ValueError for a schema that has no instance."""
    digest = hashlib.blake2b(f"{seed}|{text}".encode("utf-8", "replace"), digest_size=16).digest()
    good = int.from_bytes(digest[:8]) / 2**64 < quality
    rng = random.Random(digest)
    if schema is None:
        doubts = int.from_bytes(digest[8:]) / 2**64 < (alarms if good else marked)
        said = _prose(rng, output_tokens, good, doubts)
    else:
        said = _json(schema, rng, good, terse=False)
        if max_tokens is not None and tokens_in(said) > max_tokens:
            said = _json(schema, rng, good, terse=True)
    if max_tokens is not None and tokens_in(said) > max_tokens:
        said = said[: max_tokens * CHARS_PER_TOKEN]
        return Said(said, max_tokens, True, good)
    return Said(said, tokens_in(said), False, good)


def _prose(rng: random.Random, tokens: int, good: bool, doubts: bool) -> str:
    """Exactly so many tokens that say that they are simulated. A poor answer says other things than a good one;
    ``doubts``: it begins with ``[uncertain]``."""
    opening = f"{POOR} {_OPENING}" if doubts else _OPENING
    length = tokens * CHARS_PER_TOKEN
    if length <= len(opening):
        return opening[:length]
    said = rng.choices(_PHRASES, k=length // _SHORTEST + 1)
    words = " ".join(said if good else rng.choices(_PHRASES, k=len(said)))
    return f"{opening}{words}"[: length - 1].rstrip() + "."


def _json(schema: Any, rng: random.Random, good: bool, *, terse: bool) -> str:
    try:
        return orjson.dumps(instance(schema, rng, good=good, terse=terse)).decode()
    except (TypeError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"the schema is not a valid JSON Schema: {error}") from None


def malformed(said: Said, schema: Any, way: float) -> Said:
    """The same answer gone wrong: broken off in the middle; where JSON was asked for, also prose instead of JSON, or
    JSON that the schema forbids. ``way`` in 0..1 chooses."""
    if schema is None or way < 0.5:
        text = said.text[: max(1, len(said.text) // 2)]
    elif way < 0.75 or not said.text.startswith("{"):
        text = "Simulated answer: here is what you asked for, in words."
    else:
        text = f"[{said.text}]"
    return Said(text, tokens_in(text), said.cut_off, good=False)


def embedding(seed: int, model: str, text: str, dimensions: int) -> array[float]:
    """A unit vector of 32-bit floats that depends on the text alone, not on its meaning."""
    rng = random.Random(f"{seed}|{model}|{text}")
    values = [rng.gauss(0.0, 1.0) for _ in range(dimensions)]
    length = math.sqrt(sum(value * value for value in values))
    return array("f", [value / length for value in values])
