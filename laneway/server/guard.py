"""The door: what a request must be like, and who sends it, before anything else looks at it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import orjson

from laneway.errors import LanewayError
from laneway.server.access import Access
from laneway.server.caller import KNOWN_AS, Caller, Role
from laneway.server.envelopes import Dialect, Refusal, dialect_of, of_error
from laneway.server.headers import dress
from laneway.server.rates import Rates
from laneway.server.tokens.sessions import COOKIE

if TYPE_CHECKING:
    from laneway.server.tokens.keyring import Keyring

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

FILES = "/v1/files"
LARGEST_FORM = 200_100_000  # bytes, there: OpenAI's bound for a batch's input, and the form around it
LARGEST_URL = 16_384  # bytes
MOST_HEADERS = 100
LARGEST_HEADERS = 65_536  # bytes, all of them
OPEN_PATHS = frozenset(
    {"/health", "/healthz", "/readyz", "/login", "/logout", "/favicon.ico"}
)  # they tell nothing and cost nothing
OPEN_FILES = "/static/"
DATA_PATHS = ("/v1/", "/api/", "/metrics", "/health")  # of programs, which want a status and not a page to log in on
NOBODY = Caller("nobody", role=Role.SUBMIT, lanes=frozenset())
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, before its body. ``headers``: by names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    address: str
    origin_is_own: bool

    @property
    def is_page(self) -> bool:
        return not self.path.startswith(DATA_PATHS)

    @property
    def is_open(self) -> bool:
        return self.path in OPEN_PATHS or self.path.startswith(OPEN_FILES)

    @property
    def secret(self) -> str:
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if kind.casefold() == "bearer" else self.headers.get("x-api-key", "")

    @property
    def held(self) -> str:
        """A browser's session."""
        return cookie(self.headers.get("cookie", ""), COOKIE)


class Guard:
    """Stands before the application. ``largest``: bytes of a body. ``per_minute``: requests of one caller."""

    def __init__(
        self,
        app: App,
        access: Access,
        largest: int,
        keyring: Keyring,
        now: Callable[[], float],
        per_minute: float | None,
    ) -> None:
        self._app = app
        self._access = access
        self._largest = largest
        self._keyring = keyring
        self._now = now
        self._rates = None if per_minute is None else Rates(per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                dress(message)
            await send(message)

        headers: dict[str, str] = {}
        try:
            asked = _asked(scope, headers)
            self._check(asked)
            scope[KNOWN_AS] = await self._who(asked)
        except Refusal as refusal:
            await self._refuse(scope, receive, dressed, refusal, headers)
        except LanewayError as error:
            await self._refuse(scope, receive, dressed, of_error(error), headers)
        else:
            await self._app(scope, receive, dressed)

    def _check(self, asked: Asked) -> None:
        """What can be said without knowing who asks. Raises Refusal."""
        hosts, headers = self._access.hosts, asked.headers
        if hosts is not None and _name(f"//{headers.get('host', '')}") not in hosts:
            raise Refusal(403, "this Host is not served here; see `laneway serve --allow-host`", code="host")
        origin = headers.get("origin")
        if origin is not None and _name(origin) not in (hosts or {_name(f"//{headers.get('host', '')}")}):
            raise Refusal(403, "requests from this web page are not served", code="origin")  # a page spends no money
        if asked.method not in SAFE and headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise Refusal(403, "requests from other web pages are not served", code="origin")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > self._largest_for(asked.path):
            raise too_large(self._largest_for(asked.path))

    async def _who(self, asked: Asked) -> Caller:
        """Raises Refusal."""
        if asked.is_open:
            return NOBODY
        caller = await self._keyring.admit(asked.secret, asked.held, asked.address)
        if asked.held and not asked.secret and asked.method not in SAFE and not await self._keyring.open():
            _check_own_page(asked)  # the browser sends the cookie whoever asks it to
        if self._rates is not None and (wait := self._rates.take(caller.name, self._now())):
            message = f"the token {caller.name!r} has asked more often than it may"
            raise Refusal(429, message, "rate_limit_error", "rate_limit", again=True, retry_after=wait)
        return caller

    def _largest_for(self, path: str) -> int:
        return max(self._largest, LARGEST_FORM) if path == FILES else self._largest

    async def _refuse(
        self, scope: Scope, receive: Receive, send: Send, refusal: Refusal, headers: Mapping[str, str]
    ) -> None:
        await self._pass_over(receive, self._largest_for(scope["path"]))
        if refusal.status == 401 and not scope["path"].startswith(DATA_PATHS):
            await _to_login(scope, send, headers)
        else:
            await _answer(send, refusal, dialect_of(scope["path"], headers))

    async def _pass_over(self, receive: Receive, largest: int) -> None:
        """Read what is still on its way: a client that is cut off while it sends never sees the answer. Within bounds,
        and nothing of it is kept."""
        left = 2 * largest
        while left > 0:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                return
            left -= len(message.get("body", b""))


def _asked(scope: Scope, headers: dict[str, str]) -> Asked:
    """Fills ``headers``. Raises Refusal for what is out of bounds."""
    pairs = scope["headers"]
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > LARGEST_URL:
        raise Refusal(414, f"the address is longer than {LARGEST_URL:,} bytes")
    if len(pairs) > MOST_HEADERS or sum([len(name) + len(value) for name, value in pairs]) > LARGEST_HEADERS:
        raise Refusal(431, f"more than {MOST_HEADERS} headers, or more than {LARGEST_HEADERS:,} bytes of them")
    for name, value in pairs:
        word = name.decode("latin-1").lower()
        if word == "host" and word in headers:
            raise Refusal(400, "two Host headers")
        headers[word] = value.decode("latin-1")
    client = scope.get("client")
    own = urlsplit(headers.get("origin", "")).netloc.casefold() == headers.get("host", "").casefold()
    return Asked(scope["method"], scope["path"], headers, client[0] if client else "", own)


def _check_own_page(asked: Asked) -> None:
    """Plain HTTP to other machines comes without Sec-Fetch-Site, but never without an Origin. Raises Refusal."""
    site = asked.headers.get("sec-fetch-site")
    if site != "same-origin" and not (site is None and "origin" in asked.headers and asked.origin_is_own):
        raise Refusal(403, "only this server's own pages may do that with a session", code="origin")


def too_large(largest: int) -> Refusal:
    return Refusal(413, f"the request is larger than {largest:,} bytes", code="request_too_large")


def cookie(header: str, name: str) -> str:
    """Its value; "" where there is none."""
    try:
        found = SimpleCookie(header).get(name) if header else None
    except CookieError:
        return ""
    return "" if found is None else found.value


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").casefold()
    except ValueError:
        return ""


async def _to_login(scope: Scope, send: Send, headers: Mapping[str, str]) -> None:
    """A browser is shown where to log in; a part of a page that asks for itself has the page go there."""
    query = scope["query_string"].decode("latin-1")
    place = scope["path"] + (f"?{query}" if query else "")
    if "hx-request" in headers:
        await _say(send, 401, {"hx-redirect": "/login"}, b"")
    elif scope["method"] in SAFE:
        await _say(send, 303, {"location": f"/login?next={quote(place, safe='/')}"}, b"")
    else:
        await _say(send, 303, {"location": "/login"}, b"")


async def _answer(send: Send, refusal: Refusal, dialect: Dialect) -> None:
    body = orjson.dumps(refusal.body(dialect))
    await _say(send, refusal.status, {"content-type": "application/json", **refusal.headers}, body)


async def _say(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    all_ = {**headers, "content-length": str(len(body)), "connection": "close"}
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in all_.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
