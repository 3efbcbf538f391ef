"""How many tokens a picture or a PDF makes, by the providers' published formulas and from nothing but their headers."""

from __future__ import annotations

import base64
import binascii
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEAD = 400_000  # characters of base64 that are looked at for a picture's size; a photo's thumbnail comes first
UNKNOWN_SIZE = (1024, 1024)  # of a picture that is only linked
PAGE_TOKENS = 2_000  # a PDF's page: 1,500 to 3,000 of text, as text and picture (Anthropic, "PDF support")
CHARS_PER_PAGE = 60_000  # of a PDF in base64
LEAST_DOCUMENT = 1_100

# OpenAI, "Images and vision", "Calculating costs": patches of 32 × 32 times a factor …
_MOST_PATCHES = 1536
_PATCHES = (
    (re.compile(r"gpt-(5|4\.1)-nano"), 2.46),
    (re.compile(r"gpt-(5|4\.1)-mini"), 1.62),
    (re.compile(r"o4-mini"), 1.72),
)
# … or a base and so much for each tile of 512 × 512
_TILES = (
    (re.compile(r"4o-mini"), (2833, 5667)),
    (re.compile(r"gpt-5"), (70, 140)),
    (re.compile(r"(^|/)o[13]"), (75, 150)),
    (re.compile(r"computer-use"), (65, 129)),
)
_DEFAULT_TILES = (85, 170)
_LONGEST_EDGE, _SHORT_EDGE, _TILE = 2048, 768, 512
# Anthropic, "Vision": width × height / 750, pictures larger than these are scaled down first
_CLAUDE_EDGE, _CLAUDE_MOST = 1568, 1600


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks at the attachments: a model's id, and whether it is Anthropic's."""

    model: str = ""
    anthropic: bool = False

    def picture(self, part: Mapping[str, Any]) -> int:
        """Tokens of a picture, given as a content part of any format."""
        data, detail = _picture(part)
        width, height = _size(data) or UNKNOWN_SIZE
        if self.anthropic or "claude" in self.model:
            return claude(width, height)
        return openai(self.model, width, height, detail)

    def document(self, part: Mapping[str, Any]) -> int:
        """Tokens of a PDF, given as a content part of any format: by its pages, where pypdf is there to count them."""
        data = _document(part)
        count = _pages(data) or math.ceil(len(data) / CHARS_PER_PAGE)
        return max(LEAST_DOCUMENT, count * PAGE_TOKENS)


ANYBODY = Reader()


def openai(model: str, width: int, height: int, detail: str = "auto") -> int:
    for name, factor in _PATCHES:
        if name.search(model):
            return math.ceil(_patches(width, height) * factor)
    base, each = next((tokens for name, tokens in _TILES if name.search(model)), _DEFAULT_TILES)
    if detail == "low":
        return base
    scale = min(1.0, _LONGEST_EDGE / max(width, height))
    width, height = round(width * scale), round(height * scale)
    scale = min(1.0, _SHORT_EDGE / min(width, height)) if min(width, height) else 1.0
    return base + each * math.ceil(width * scale / _TILE) * math.ceil(height * scale / _TILE)


def claude(width: int, height: int) -> int:
    scale = min(1.0, _CLAUDE_EDGE / max(width, height, 1))
    return max(1, min(_CLAUDE_MOST, math.ceil(width * scale * height * scale / 750)))


def _patches(width: int, height: int) -> int:
    patches = math.ceil(width / 32) * math.ceil(height / 32)
    if patches <= _MOST_PATCHES:
        return patches
    scale = math.sqrt(32 * 32 * _MOST_PATCHES / (width * height))
    across, down = width * scale / 32, height * scale / 32
    scale *= min(math.floor(across) / across, math.floor(down) / down) if min(across, down) >= 1 else 1.0
    return min(_MOST_PATCHES, math.ceil(width * scale / 32) * math.ceil(height * scale / 32))


def _picture(part: Mapping[str, Any]) -> tuple[str, str]:
    """(base64, detail) of a picture; "" where it is only linked."""
    held = part.get("image_url") or part.get("source")
    if isinstance(held, Mapping):
        url, detail = held.get("url") or held.get("data"), held.get("detail")
        inline = held.get("type") == "base64"
    else:
        url, detail, inline = held, None, False
    text = url if isinstance(url, str) else ""
    if not inline:
        text = text[:HEAD].partition(";base64,")[2] if text.startswith("data:") else ""
    said = detail or part.get("detail")
    return text[:HEAD], said if isinstance(said, str) else "auto"


def _size(data: str) -> tuple[int, int] | None:
    import imagesize  # type: ignore[import-untyped]

    if not data:
        return None
    try:
        width, height = imagesize.get(io.BytesIO(base64.b64decode(data[: len(data) // 4 * 4])))
    except (binascii.Error, ValueError, OSError, IndexError, KeyError, ArithmeticError):
        return None
    return (width, height) if width > 0 and height > 0 else None


def _document(part: Mapping[str, Any]) -> str:
    """The base64 of a document; "" where it is only named."""
    for name, inner in (("file", "file_data"), ("source", "data")):
        held = part.get(name)
        if isinstance(held, Mapping) and isinstance(held.get(inner), str):
            return str(held[inner]).rpartition(",")[2]
    return str(part.get("file_data") or "").rpartition(",")[2]


def _pages(data: str) -> int | None:
    if not data:
        return None
    try:
        import pypdf
    except ImportError:
        return None
    import logging

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it reports every flaw that it can live with
    try:
        return len(pypdf.PdfReader(io.BytesIO(base64.b64decode(data))).pages)
    except Exception:  # noqa: BLE001 - a damaged file can fail anywhere in the parser, and this is an estimate
        return None
