"""Pictures and documents in tokens, against the examples that the providers publish."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from laneway.task import Wire
from laneway.triage.attachments import PAGE_TOKENS, Reader, claude, openai
from laneway.triage.tokens import PER_MESSAGE, PER_REQUEST, estimate_body
from tests.material import pdf, png

CHAT, MESSAGES = Wire.CHAT, Wire.MESSAGES
FRAME = PER_REQUEST + PER_MESSAGE


@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "tokens"),
    [
        ("gpt-4o", 1024, 1024, "high", 765),  # OpenAI, "Images and vision", the three examples of tiles …
        ("gpt-4o", 2048, 4096, "high", 1105),
        ("gpt-4o", 4096, 8192, "low", 85),
        ("gpt-4o-mini", 1024, 1024, "high", 2833 + 4 * 5667),
        ("gpt-5", 1024, 1024, "auto", 70 + 4 * 140),
        ("o1", 512, 512, "auto", 225),
        ("gpt-4.1-mini", 1024, 1024, "auto", 1659),  # … and the two of patches, 1,024 and 1,452 of them
        ("gpt-4.1-mini", 1800, 2400, "auto", 2353),
        ("gpt-5-nano", 1024, 1024, "auto", 2520),
        ("o4-mini", 32, 33, "auto", 4),
    ],
)
def test_openai_pictures(model: str, width: int, height: int, detail: str, tokens: int) -> None:
    assert openai(model, width, height, detail) == tokens


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(200, 200, 54), (1000, 1000, 1334), (1092, 1092, 1590), (3000, 3000, 1600), (1, 10_000, 1)],
)
def test_anthropic_pictures(width: int, height: int, tokens: int) -> None:
    assert claude(width, height) == tokens


def data(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def url(media: str, raw: bytes) -> str:
    return f"data:{media};base64,{data(raw)}"


def linked(where: str, **more: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": where, **more}}


@pytest.mark.parametrize(
    ("wire", "model", "part", "tokens"),
    [
        (CHAT, "gpt-4o", linked(url("image/png", png(1024, 1024))), 765),
        (CHAT, "gpt-4o", linked("https://x/y.png", detail="low"), 85),
        (CHAT, "gpt-4o", linked("data:image/png;base64,AAAA"), 765),
        (CHAT, "gpt-4o", {"type": "file", "file": {"file_data": url("application/pdf", pdf("x"))}}, PAGE_TOKENS),
        (MESSAGES, "claude-x", {"type": "image", "source": {"type": "base64", "data": data(png(200, 200))}}, 54),
        (MESSAGES, "claude-x", {"type": "document", "source": {"type": "base64", "data": data(pdf("x"))}}, PAGE_TOKENS),
        (MESSAGES, "claude-x", {"type": "document", "source": {"type": "text", "data": "word " * 80}}, 100),
    ],
)  # fmt: skip
def test_parts_of_every_format(wire: Wire, model: str, part: dict[str, Any], tokens: int) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": [part]}]}
    assert estimate_body(wire, body) == FRAME + tokens


def test_responses_have_parts_of_their_own() -> None:
    image = {"type": "input_image", "image_url": url("image/png", png(200, 200)), "detail": "high"}
    paper = {"type": "input_file", "file_data": url("application/pdf", pdf("x"))}
    body = {"model": "gpt-4o", "input": [{"role": "user", "content": [image, paper]}]}
    assert estimate_body(Wire.RESPONSES, body) == FRAME + 85 + 170 + PAGE_TOKENS
    assert estimate_body(Wire.RESPONSES, body, Reader("claude", anthropic=True)) == FRAME + 54 + PAGE_TOKENS


@pytest.mark.parametrize(
    ("given", "tokens"), [("word " * 80, 100), (["word " * 80] * 2, 200), ([1, 2], 2), ([[1], [2, 3]], 3)]
)
def test_embeddings(given: Any, tokens: int) -> None:
    assert estimate_body(Wire.EMBEDDINGS, {"input": given}) == tokens
