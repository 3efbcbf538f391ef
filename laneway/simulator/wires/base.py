"""What every format has to tell: the seam between the simulated provider and the bytes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import orjson

from laneway.simulator.answers import CHARS_PER_TOKEN, Said
from laneway.simulator.limits import Charge, KeyLimits, Refusal

FRAMING_TOKENS = 3  # added to each request's input
MOST_TOKENS = 1_000_000  # that a request may ask for

ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {"answer": {"type": "string"}}}

Mistake = Literal["bad_request", "unauthorized", "no_model", "no_path", "too_large", "server", "overloaded"]
STATUS: Mapping[Mistake, int] = {
    "bad_request": 400,
    "unauthorized": 401,
    "no_model": 404,
    "no_path": 404,
    "too_large": 413,
    "server": 500,
    "overloaded": 529,
}


@dataclass(frozen=True, slots=True)
class Ask:
    """What matters of a request. ``schema``: the JSON Schema of the answer, None for plain text. ``tool``: the function
    whose arguments the answer is, "" for none. ``inputs`` and what follows: of embeddings."""

    model: str
    text: str
    input_tokens: int
    max_tokens: int | None = None
    schema: Any = None
    stream: bool = False
    stream_usage: bool = False
    inputs: Sequence[str] = ()
    dimensions: int = 8
    base64: bool = False
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """An answer with its number and times, ready to be put into a format. ``created``: seconds since 1970."""

    ask: Ask
    said: Said
    number: int
    created: int
    seed: int
    cached: int = 0  # of the input tokens
    written: int = 0


class Wire(Protocol):
    """One format. None of its methods keeps anything."""

    id_header: str
    streams: bool

    def understand(self, body: Mapping[str, Any]) -> Ask:
        """Raises ValueError in words that the client is told."""

    def charge(self, ask: Ask, output_tokens: int) -> Charge:
        """What the request takes from its key's limits, as this provider reckons."""

    def answer(self, made: Made) -> dict[str, Any]:
        """A whole answer."""

    def frames(self, made: Made) -> list[bytes]:
        """The same as server-sent events."""

    def error(self, mistake: Mistake, message: str) -> dict[str, Any]:
        """An error's body, also that within a stream."""

    def error_frame(self, error: Mapping[str, Any]) -> bytes:
        """An error's body as the last event of a stream."""

    def refusal(self, refused: Refusal, model: str) -> dict[str, Any]:
        """A 429's body."""

    def wait_headers(self, refused: Refusal) -> dict[str, str]:
        """How long to wait."""

    def limit_headers(self, limits: KeyLimits, now: float, wall: float) -> dict[str, str]:
        """What the buckets hold. ``now``: the limits' own clock; ``wall``: seconds since 1970."""


def input_tokens(text: str, attached: int = 0) -> int:
    """The rule by which all input is counted: four characters a token, rounded up, three for framing, and what is
    ``attached``."""
    return -(-len(text) // CHARS_PER_TOKEN) + FRAMING_TOKENS + attached


def parse(body: bytes) -> Mapping[str, Any]:
    """The request's JSON object. Raises ValueError."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"We could not parse the JSON body of your request: {error}") from None
    if not isinstance(data, dict):
        raise ValueError("The body of your request is not a JSON object.")  # noqa: TRY004 - the client's mistake
    return data


def model_of(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise ValueError("you must provide a model parameter")
    return model


def limit_of(body: Mapping[str, Any], *names: str) -> int | None:
    """The first of these limits on the output that is given. Raises ValueError."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_TOKENS:
            raise ValueError(f"Invalid value for '{name}': expected a whole number from 1 to {MOST_TOKENS}.")
        return value
    return None


def mapping_in(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object that may be missing. Raises ValueError."""
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError(f"Invalid type for '{name}': expected an object.")  # noqa: TRY004 - the client's mistake
    return value


def text_of(messages: Any, name: str) -> str:
    """All text of a list of messages. Raises ValueError."""
    if not isinstance(messages, list) or not messages:
        raise ValueError(f"Invalid value for '{name}': expected a list with at least one message.")
    return "".join(_texts(messages))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from _texts(part)
    elif isinstance(content, Mapping):
        yield from _texts(content["content"] if "content" in content else content.get("text"))


def plain(content: Any) -> str:
    """A text that may come as a list of parts, or not at all."""
    return "".join(_texts(content))


def frame(data: Mapping[str, Any], event: str = "") -> bytes:
    """One server-sent event."""
    return (f"event: {event}\n".encode() if event else b"") + b"data: " + orjson.dumps(data) + b"\n\n"


def pieces(text: str) -> list[str]:
    """A text as a stream delivers it: some ten tokens at a time."""
    return [text[i : i + 40] for i in range(0, len(text), 40)]


def limit_words(refused: Refusal) -> str:
    return refused.kind.replace("_", " ")


def whole_seconds(seconds: float) -> int:
    """At least 1: ``retry-after`` knows no fractions."""
    return max(1, math.ceil(seconds))
