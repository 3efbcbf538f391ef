"""Which encoding a text is in. Unicode is recognised by its marks and by decoding all of it strictly; only what is not
Unicode is guessed, from a sample, and the guess has to decode the whole."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator

SAMPLE = 200_000  # bytes that a guess is made from
MOST_CONTROLS = 0.001  # of a text's bytes
_BOMS = (  # the longer ones first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"%PDF-", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive (or an Office document)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x08\x1b\x1a")) + b"\x7f"
_KANA = re.compile("[\u3040-\u30ff]")
_LEGACY = [  # what texts are still found in
    "cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "iso8859_2", "koi8_r", "mac_roman",
    "cp932", "euc_jp", "gb18030", "big5", "cp949",
]  # fmt: skip


class NotText(ValueError):
    """Why bytes cannot be read as text."""


def decode(raw: bytes) -> str:
    """The text of a file's bytes, without its byte order mark. Raises NotText."""
    try:
        return raw.decode(encoding_of(lambda: iter((raw,)))).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise NotText(f"it ends or breaks off inside a character ({error.reason})") from None


def encoding_of(pieces: Callable[[], Iterator[bytes]]) -> str:
    """The encoding that decodes all of a text. ``pieces``: reads the text from its beginning. Raises NotText."""
    head = next(pieces(), b"")[:SAMPLE]
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    for magic, what in _MAGIC:
        if head.startswith(magic):
            raise NotText(f"its content is {what}, not text")
    if b"\0" in head:
        return _without_mark(head)
    if len(head.translate(None, _CONTROLS)) < len(head) * (1 - MOST_CONTROLS):
        raise NotText("its content is binary, not text")
    at = _first_fault("utf-8", pieces)
    return "utf-8" if at is None else _guess(_around(pieces, at), pieces)


def _without_mark(head: bytes) -> str:
    """UTF-16 of a mostly Western text has a zero in every second byte; anything else with zeros is no text."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    half = len(head) / 2
    for here, there, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if here > half * 0.1 and there < half * 0.001:
            return name
    raise NotText("its content is binary, not text")


def _first_fault(encoding: str, pieces: Callable[[], Iterator[bytes]]) -> int | None:
    """Where a text stops being in this encoding, in bytes, roughly; None when all of it is."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    at = 0
    try:
        for piece in pieces():
            decoder.decode(piece)
            at += len(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        return at + error.start
    return None


def _around(pieces: Callable[[], Iterator[bytes]], at: int) -> bytes:
    """The telling lines near what is not UTF-8, whole ones, so that no character is broken."""
    begin, passed, sample = max(0, at - SAMPLE // 2), 0, b""
    for piece in pieces():
        if passed + len(piece) > begin:
            sample += piece[max(0, begin - passed) :]
        passed += len(piece)
        if len(sample) >= SAMPLE:
            break
    if len(sample) > SAMPLE or begin:
        sample = sample[:SAMPLE]
        first, last = sample.find(b"\n") + 1 if begin else 0, sample.rfind(b"\n") + 1
        sample = sample[first : last if last > first else None]
    telling = [line for line in sample.splitlines(keepends=True) if not line.isascii()]
    return b"".join(telling) or sample


def _guess(sample: bytes, pieces: Callable[[], Iterator[bytes]]) -> str:
    from charset_normalizer import from_bytes

    found = list(from_bytes(sample, cp_isolation=_LEGACY))
    if found:
        best = found[0]
        # a tie between Western and Central European goes to the more common one
        alike = [one.encoding for one in found if one.chaos <= best.chaos + 0.01] + best.could_be_from_charset
        kana = [one.encoding for one in found if one.encoding in ("cp932", "euc_jp") and _is_japanese(str(one))]
        names = dict.fromkeys(
            [*kana, *(name for name in ("cp1252",) if name in alike), *(one.encoding for one in found)]
        )
        for name in names:
            if _first_fault(name, pieces) is None:
                return name
    raise NotText("it is neither UTF-8 nor in another encoding that can be recognised")


def _is_japanese(text: str) -> bool:
    foreign = sum(not char.isascii() for char in text[:10_000])
    return len(_KANA.findall(text[:10_000])) > 0.2 * foreign
