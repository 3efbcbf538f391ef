"""Asking the server, also while it is away or has no room, and reading its lists."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import orjson

from laneway.client.refusals import refusal, retry_after
from laneway.client.steps import Answer, Give, Plan, Request, Wait
from laneway.errors import LanewayError, ServerUnreachable

T = TypeVar("T")
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0  # of our own; the server may ask for more
LATER = frozenset({429, 503})  # nothing was done yet
DOUBTFUL = frozenset({502})  # a proxy's word for a server that went away


def asked(request: Request, patience: float) -> Plan[Answer]:
    """The answer. What the server had no room for, or may not have got, is sent again after the time it asks for, as
    long as ``patience`` (seconds) lasts. Raises LanewayError."""
    waited, own = 0.0, FIRST_WAIT_S
    while True:
        problem: LanewayError
        try:
            answer: Answer = yield request
        except ServerUnreachable as error:
            if error.sent and not request.again:
                raise
            problem, wait = error, own
        else:
            if answer.status < 300:
                return answer
            problem, wait = refusal(answer), retry_after(answer) or own
            if answer.status not in LATER and not (answer.status in DOUBTFUL and request.again):
                raise problem
        if waited + wait > patience:
            raise problem
        yield Wait(wait * random.uniform(1.0, 1.2))
        waited, own = waited + wait, min(own * 2, LONGEST_WAIT_S)


def told(request: Request, patience: float) -> Plan[Any]:
    """The answer's JSON."""
    return orjson.loads((yield from asked(request, patience)).body)


def listed(
    path: str, query: Mapping[str, Any], shape: Callable[[Any], T], patience: float, cursor: int | None = None
) -> Plan[None]:
    """Give all of a list, page by page."""
    while True:
        page = yield from told(get(path, {**query, "cursor": cursor}), patience)
        for one in page["data"]:
            yield Give(shape(one))
        cursor = page["next"]
        if cursor is None:
            return


def get(path: str, query: Mapping[str, Any] | None = None, *, timeout: float | None = None) -> Request:
    asked_for = [(name, word) for name, value in (query or {}).items() for word in _words(value)]
    request = Request("GET", f"{path}?{urlencode(asked_for)}" if asked_for else path)
    return request if timeout is None else request._replace(timeout=timeout)


def send(path: str, body: Any = None, *, method: str = "POST", again: bool = True) -> Request:
    headers = {} if body is None else {"Content-Type": "application/json"}
    return Request(method, path, None if body is None else orjson.dumps(body), headers, again=again)


def named(thing: object) -> str:
    """As part of a path."""
    return quote(str(thing), safe="")


def given(**values: Any) -> dict[str, Any]:
    """Those that are."""
    return {name: value for name, value in values.items() if value is not None}


def _words(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return (str(value),)
    return [str(one) for one in value]
