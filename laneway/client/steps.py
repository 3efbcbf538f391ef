"""What a client does, apart from how: a plan is a generator that says what is to be done next, and is sent what came of
it. The same plans are carried out by the blocking client and by the async one."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")
LONGEST_S = 60.0  # for an answer that waits for nothing


class Request(NamedTuple):
    """``path``: with its query, below the API's. ``again``: it may be sent twice, since the second changes nothing.
    ``stream``: its answer is read piece by piece, with ``READ``. ``timeout``: seconds between two pieces."""

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    again: bool = True
    stream: bool = False
    timeout: float = LONGEST_S


class Answer(NamedTuple):
    """``headers``: with names in lower case. ``body``: b"" of a stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Wait(NamedTuple):
    seconds: float


class Read(NamedTuple):
    """The next piece of the stream that is open; b"" at its end."""


class Give(NamedTuple):
    """One item of what is iterated over."""

    item: Any


READ = Read()
Step: TypeAlias = Request | Wait | Read | Give
Plan: TypeAlias = Generator[Step, Any, T]
