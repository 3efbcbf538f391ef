"""One JSON document that holds many tasks: a list of objects, or Anthropic's POST body ``{"requests": [{"custom_id",
"params"}, …]}`` of up to 256 MB (Anthropic, "Batch processing"). Cut into its objects without holding the whole."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator

from laneway.intake.draft import BadLine
from laneway.intake.source import LONGEST_LINE, Source

_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:(\{)\s*"requests"\s*:\s*)?\[\s*(?=[{\]])')
_MARK = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]"]', re.DOTALL)  # a whole text, a bracket, a text without end


def is_list(source: Source) -> bool:
    with source.mapped() as data:
        return _HEAD.match(data) is not None


def elements(source: Source) -> Iterator[tuple[int, bytes | BadLine]]:
    """(line number, object) of each element. A document that breaks off ends with a BadLine."""
    with source.mapped() as data:
        yield from _elements(data)


def _elements(data: mmap.mmap) -> Iterator[tuple[int, bytes | BadLine]]:
    head = _HEAD.match(data)
    assert head is not None
    line, counted = 1, 0
    depth, begins = 0, -1
    for mark in _MARK.finditer(data, head.end()):
        match mark[0][:1]:
            case b"{" | b"[":
                depth += 1
                if depth == 1:
                    begins = mark.start()
            case b"}" | b"]":
                depth -= 1
                if depth < 0:
                    yield from _rest(data, mark.end(), line + _newlines(data, counted, mark.end()), head[1] or b"")
                    return
                if depth == 0:
                    line, counted = line + _newlines(data, counted, begins), begins
                    long = mark.end() - begins > LONGEST_LINE
                    raw = data[begins : mark.end()]
                    yield line, BadLine(line, f"longer than {LONGEST_LINE:,} bytes", raw[:200]) if long else raw
            case _ if len(mark[0]) == 1:
                break
    line += _newlines(data, counted, len(data))
    yield line, BadLine(line, "the list breaks off", b"" if begins < 0 else data[begins : begins + 200])


def _rest(data: mmap.mmap, at: int, line: int, opened: bytes) -> Iterator[tuple[int, BadLine]]:
    """What stands behind the list may only close the object that it is in."""
    left = data[at : at + 200].strip()
    if opened and not left.startswith(b"}"):
        what = "something follows the list of requests" if left else "the document breaks off behind its requests"
        yield line, BadLine(line, what, left)
    elif left := left.removeprefix(b"}" if opened else b"").strip():
        yield line, BadLine(line, "something follows the list", left)


def _newlines(data: mmap.mmap, start: int, end: int) -> int:
    return sum(data[at : min(at + 1_000_000, end)].count(b"\n") for at in range(start, end, 1_000_000))
