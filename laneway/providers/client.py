"""Direct HTTP to the providers. One call in, one Reply out; only being cancelled raises."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson

from laneway.clock import Clock
from laneway.errors import InputError
from laneway.providers import chat, messages, translate
from laneway.providers.catalog import is_loopback
from laneway.providers.failures import classify, connection_failed, timed_out
from laneway.providers.headers import observe
from laneway.providers.model import Account, Model, Reply
from laneway.providers.presets import Preset, presets
from laneway.task import Failure, FailureClass, Spec, Usage, Wire
from laneway.version import VERSION

LARGEST_ANSWER = 64_000_000  # bytes

log = logging.getLogger(__name__)


class Client:
    """An async context over one connection pool. The pool is unbounded: the desks decide how many calls there are."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._presets = presets()
        self._targets: dict[str, _Target] = {}

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=True,
            read_bufsize=2**18,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        account: Account,
        model: Model,
        spec: Spec,
        body: bytes,
        *,
        timeout: float,
        complaint: str | None = None,
    ) -> Reply:
        """Send a task's request to an account. ``timeout``: seconds for the whole call. ``complaint``: what was wrong
        with the last answer. Never raises for what a provider does; a failure is in the reply."""
        started = time.perf_counter()
        preset = self._presets[account.provider]
        try:
            payload = orjson.dumps(_request(preset, account, model, spec, body, complaint))
        except InputError as error:
            return Reply(None, None, Failure(FailureClass.REQUEST, "untranslatable", error.message), 0.0)
        target = self._target(account, preset)
        assert self._session is not None, "the client is used inside its context"
        try:
            async with self._session.post(
                target.url,
                data=payload,
                headers=target.headers,
                proxy=target.proxy,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                answer = await _read(response)
                said = response.headers
                status = response.status
        except TimeoutError:
            return _failed(timed_out(timeout), started)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failed(connection_failed(error), started)
        latency = time.perf_counter() - started
        now = self._clock.now()
        observed = observe(preset.dialect, said, now)
        request_id = said.get("x-request-id") or said.get("request-id")
        if answer is None:
            too_large = Failure(FailureClass.REQUEST, "answer_too_large", "the answer is larger than 64 MB", status)
            return Reply(None, None, too_large, latency, observed, request_id)
        failure = classify(account.wire, status, said, answer, now)
        if failure is not None:
            return Reply(None, _usage_of_failure(account.wire, status, answer), failure, latency, observed, request_id)
        return _answered(account.wire, spec.wire, answer, latency, observed, request_id)

    def _target(self, account: Account, preset: Preset) -> _Target:
        known = self._targets.get(account.name)
        if known is None or known.account is not account:
            url = account.base_url + ("/messages" if account.wire is Wire.MESSAGES else "/chat/completions")
            headers = {"content-type": "application/json", "user-agent": f"laneway/{VERSION}", **account.headers}
            if account.wire is Wire.MESSAGES:
                headers.setdefault("anthropic-version", messages.VERSION)
            if account.key:
                bearer = preset.key_header == "authorization"
                headers[preset.key_header] = f"Bearer {account.key}" if bearer else account.key
            known = self._targets[account.name] = _Target(account, url, headers, proxy_for(url))
        return known


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an account's calls go. Worked out once: the HTTP client would ask the environment at every call."""

    account: Account
    url: str
    headers: Mapping[str, str]
    proxy: str | None


def proxy_for(url: str) -> str | None:
    """The proxy that the environment (``HTTPS_PROXY``, ``NO_PROXY``, …) names for a URL; none for this machine."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _request(
    preset: Preset, account: Account, model: Model, spec: Spec, body: bytes, complaint: str | None
) -> dict[str, Any]:
    if spec.wire is Wire.MESSAGES:
        if account.wire is Wire.MESSAGES:
            return messages.request(body, model, spec, complaint=complaint)
        raise InputError("an Anthropic Messages body cannot be sent to this provider yet")
    if account.wire is Wire.MESSAGES:
        return messages.finish(translate.to_messages(orjson.loads(body)), model, spec, complaint)
    return chat.request(body, model, spec, complaint=complaint, strict_schema=preset.strict_schema)


async def _read(response: aiohttp.ClientResponse) -> bytes | None:
    """The body, None when it is beyond bounds."""
    if (response.content_length or 0) > LARGEST_ANSWER:
        return None
    body = await response.content.read(LARGEST_ANSWER + 1) if response.content_length is None else await response.read()
    while response.content_length is None and not response.content.at_eof():
        more = await response.content.read(LARGEST_ANSWER)
        body += more
        if len(body) > LARGEST_ANSWER:
            return None
    return body


_USAGE: dict[Wire, Callable[[Mapping[str, Any]], Usage | None]] = {Wire.CHAT: chat.usage, Wire.MESSAGES: messages.usage}


def _answered(wire: Wire, wanted: Wire, answer: bytes, latency: float, observed: Any, request_id: str | None) -> Reply:
    data = orjson.loads(answer)
    usage = _USAGE[wire](data)
    output = answer if wire is wanted else orjson.dumps(translate.to_chat_answer(data))
    return Reply(output, usage, None, latency, observed, request_id)


def _usage_of_failure(wire: Wire, status: int, answer: bytes) -> Usage | None:
    """A refusal inside a 200 was charged."""
    if status != 200:
        return None
    try:
        data = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    return _USAGE[wire](data) if isinstance(data, Mapping) else None


def _failed(failure: Failure, started: float) -> Reply:
    return Reply(None, None, failure, time.perf_counter() - started)
