"""OpenAI Embeddings. Source: OpenAI API reference, "Embeddings"."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from typing import Any

from laneway.simulator.answers import embedding
from laneway.simulator.wires.base import Ask, Made, input_tokens, model_of
from laneway.simulator.wires.openai import OpenAIWire

MOST_INPUTS = 2048  # as with the provider
MOST_DIMENSIONS = 4096


class Embeddings(OpenAIWire):
    """Vectors are short (8 numbers) unless the request names ``dimensions``: the simulator is for traffic."""

    streams = False

    def understand(self, body: Mapping[str, Any]) -> Ask:
        inputs, tokens = _inputs(body.get("input"))
        dimensions = body.get("dimensions")
        if dimensions is None:
            dimensions = 8
        if not isinstance(dimensions, int) or not 1 <= dimensions <= MOST_DIMENSIONS:
            raise ValueError(f"Invalid value for 'dimensions': expected a whole number from 1 to {MOST_DIMENSIONS}.")
        return Ask(
            model_of(body),
            "",
            tokens,
            inputs=inputs,
            dimensions=dimensions,
            base64=body.get("encoding_format") == "base64",
        )

    def answer(self, made: Made) -> dict[str, Any]:
        ask = made.ask
        data = []
        for index, text in enumerate(ask.inputs):
            values = embedding(made.seed, ask.model, text, ask.dimensions)
            if ask.base64 and sys.byteorder == "big":
                values.byteswap()
            vector = base64.b64encode(values.tobytes()).decode() if ask.base64 else values.tolist()
            data.append({"object": "embedding", "index": index, "embedding": vector})
        usage = {"prompt_tokens": ask.input_tokens, "total_tokens": ask.input_tokens}
        return {"object": "list", "data": data, "model": ask.model, "usage": usage}

    def frames(self, made: Made) -> list[bytes]:
        raise NotImplementedError("embeddings are not streamed")


def _inputs(given: Any) -> tuple[list[str], int]:
    """(texts, input tokens): of a text, several, a list of token numbers, or several such lists."""
    several = given if isinstance(given, list) and not _numbers(given) else [given]
    if not 1 <= len(several) <= MOST_INPUTS:
        raise ValueError(f"Invalid value for 'input': expected 1 to {MOST_INPUTS} inputs.")
    texts, tokens = [], 0
    for one in several:
        if isinstance(one, str) and one:
            texts.append(one)
            tokens += input_tokens(one)
        elif _numbers(one):
            texts.append(str(one))
            tokens += len(one)
        else:
            raise ValueError("Invalid value for 'input': expected texts or lists of tokens that are not empty.")
    return texts, tokens


def _numbers(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, int) for one in value)
