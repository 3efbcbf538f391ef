"""Who may ask: the Host and Origin allow-lists, the token, and how large a request may be."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from laneway.errors import UsageError
from laneway.server.envelopes import Dialect, Refusal, dialect_of

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

FILES = "/v1/files"
LARGEST_FORM = 200_100_000  # bytes, there: OpenAI's bound for a batch's input, and the form around it
OPEN_PATHS = ("/health",)  # they tell nothing and cost nothing


@dataclass(frozen=True, slots=True)
class Access:
    """``hosts`` None: any, since the token protects."""

    token: str | None
    hosts: frozenset[str] | None


def access(host: str, token: str | None, allowed: list[str]) -> Access:
    """Raises UsageError for an address that others can reach, without a token."""
    local = is_local(host)
    if not local and not token:
        raise UsageError(
            f"{host} can be reached by others, and there is no token: anybody could spend your money",
            hint="export LANEWAY_TOKEN=… (clients send it as their API key), or leave --host at 127.0.0.1",
        )
    names = {name.casefold() for name in allowed}
    if local:
        names |= {"localhost", "127.0.0.1", "::1", host.casefold()}
    elif names:
        names.add(host.casefold())
    return Access(token, frozenset(names) or None)


def is_local(host: str) -> bool:
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Stands before the application."""

    def __init__(self, app: App, access: Access, largest: int) -> None:
        self._app = app
        self._access = access
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refused(scope["path"], headers)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await self._pass_over(receive, self._largest_for(scope["path"]))
            await _answer(send, refusal, dialect_of(scope["path"], headers))

    def _largest_for(self, path: str) -> int:
        return max(self._largest, LARGEST_FORM) if path == FILES else self._largest

    async def _pass_over(self, receive: Receive, largest: int) -> None:
        """Read what is still on its way: a client that is cut off while it sends never sees the answer. Within bounds,
        and nothing of it is kept."""
        left = 2 * largest
        while left > 0:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                return
            left -= len(message.get("body", b""))

    def _refused(self, path: str, headers: MutableMapping[str, str]) -> Refusal | None:
        hosts = self._access.hosts
        if hosts is not None and _name(f"//{headers.get('host', '')}") not in hosts:
            return Refusal(403, "this Host is not served here; see `laneway serve --allow-host`", code="host")
        origin = headers.get("origin")
        if origin is not None and _name(origin) not in (hosts or {_name(f"//{headers.get('host', '')}")}):
            return Refusal(403, "requests from this web page are not served", code="origin")  # a page spends no money
        if self._access.token and path not in OPEN_PATHS and not _same(_given(headers), self._access.token):
            return Refusal(401, "a wrong token, or none; send it as the API key", code="invalid_api_key")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self._largest_for(path):
            return too_large(self._largest_for(path))
        return None


def too_large(largest: int) -> Refusal:
    return Refusal(413, f"the request is larger than {largest:,} bytes", code="request_too_large")


def _given(headers: MutableMapping[str, str]) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.casefold() == "bearer" else headers.get("x-api-key", "")


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").casefold()
    except ValueError:
        return ""


async def _answer(send: Send, refusal: Refusal, dialect: Dialect) -> None:
    body = orjson.dumps(refusal.body(dialect))
    headers = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    pairs = [(name.encode(), value.encode()) for name, value in {**headers, **refusal.headers}.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
