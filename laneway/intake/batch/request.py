"""What the four request formats have in common: what is read out of a body, and why one cannot be used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from laneway.intake.prompts import DEFAULT_OUTPUT_TOKENS


class Bad(ValueError):
    """Why a request cannot be used, in words its author understands."""


class Request(NamedTuple):
    """What triage wants to know of a valid body."""

    text: str
    output_tokens: int
    attachments: frozenset[str] = frozenset()  # of "image", "pdf"
    fields: Mapping[str, Any] = MappingProxyType({})  # the body's metadata


def no_stream(body: Mapping[str, Any], where: str) -> None:
    if body.get("stream"):
        raise Bad(f"{where}.stream is on; a batch is not streamed")


def positive(body: Mapping[str, Any], where: str, *names: str) -> int | None:
    """The first of these fields that is set. Raises Bad unless it is a whole number of at least 1."""
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise Bad(f"{where}.{name} is not a positive whole number")
        return value
    return None


def answers(body: Mapping[str, Any], allowed: int | None) -> int:
    """Output tokens to expect: what is allowed, else a guess, for each of the ``n`` answers asked for."""
    return (allowed or DEFAULT_OUTPUT_TOKENS) * (positive(body, "body", "n") or 1)


def parts(content: Any, where: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(type, part, where it stands) of a list of content parts; a plain text yields nothing."""
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise Bad(f"{where} is neither a text nor a list of parts")
    if not content:
        raise Bad(f"{where} is an empty list")
    for at, part in enumerate(content):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise Bad(f"{where}[{at}] is a part without a type")
        yield part["type"], part, f"{where}[{at}]"


def text_of(part: Mapping[str, Any], where: str) -> str:
    if not isinstance(part.get("text"), str):
        raise Bad(f"{where}.text is missing or not a text")
    return str(part["text"])


def held(part: Mapping[str, Any], name: str, where: str, *one_of: str) -> dict[str, Any]:
    """The object in a part's field. Raises Bad when it is none, or has none of these fields as a text."""
    inner = part.get(name)
    if not isinstance(inner, dict):
        raise Bad(f"{where}.{name} is missing or not an object")
    if not any(isinstance(inner.get(field_name), str) and inner[field_name] for field_name in one_of):
        raise Bad(f"{where}.{name} has no {' or '.join(one_of)}")
    return inner
