"""Direct HTTP to the providers. One call in, one Reply out; only being cancelled raises."""

from __future__ import annotations

import asyncio
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
from laneway.providers import chat, embeddings, messages, responses
from laneway.providers.answers.complaints import Complaint
from laneway.providers.answers.structured import Asked, Learnt, is_asked, take_schema
from laneway.providers.failures import classify, connection_failed, parsed, timed_out
from laneway.providers.formats import carrier, formats_of
from laneway.providers.headers import observe
from laneway.providers.model import Account, Model, Reply
from laneway.providers.post import READ_BUFFER, Poster, is_stream
from laneway.providers.presets import Preset, presets
from laneway.providers.sampling import Sampling
from laneway.providers.secrets import Secrets, secret_headers
from laneway.providers.streams.follow import STREAMED, Following, Listener
from laneway.providers.translate import FORMATS, translate, translate_answer
from laneway.providers.trust import is_loopback
from laneway.task import Failure, FailureClass, Spec, Usage, Wire
from laneway.version import VERSION

log = logging.getLogger(__name__)


class Client:
    """An async context over one connection pool. The pool is unbounded: the desks decide how many calls there are."""

    def __init__(self, clock: Clock) -> None:
        self.begun = asyncio.Event()  # the first call is being made
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._presets = presets()
        self._targets: dict[tuple[str, Wire], _Target] = {}
        self._posters: dict[_Target, Poster] = {}
        self._learnt = Learnt()
        self._sampling = Sampling()

    async def __aenter__(self) -> Client:
        self._posters.clear()  # they belong to a session
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            read_bufsize=READ_BUFFER,
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
        complaint: Complaint | None = None,
        listener: Listener | None = None,
    ) -> Reply:
        """Send a task's request to an account. ``timeout``: seconds for the whole call. ``complaint``: about the last
        answer. ``listener``: follows the answer, where it comes in the task's own format. Never raises for what a
        provider does; a failure is in the reply."""
        self.begun.set()
        started = time.perf_counter()
        while True:
            try:
                asked = self._asked(account, model, spec, body, complaint)
            except InputError as error:
                return Reply(None, None, Failure(FailureClass.REQUEST, "untranslatable", error.message), 0.0)
            following = self._follow(asked, account, spec, listener)
            reply = await self._exchange(asked, account, spec, started, timeout, following)
            failure = reply.failure
            if listener is not None and listener.told:
                return reply
            if failure is None or not (self._learnt.refused(asked, failure) or self._sampling.refused(asked, failure)):
                return reply

    def _asked(self, account: Account, model: Model, spec: Spec, body: bytes, complaint: Complaint | None) -> Asked:
        """A task's request in a format that the account takes. Raises InputError when there is none."""
        sent = carrier(formats_of(account.wire, account.responses), spec.wire)
        if sent is None:
            raise InputError(f"account {account.name} does not take requests for {FORMATS[spec.wire]}")
        data: dict[str, Any] = orjson.loads(body)
        schema = spec.output_schema
        if sent is not spec.wire:
            data = translate(spec.wire, sent, data)
            schema = take_schema(sent, data) or schema
        data = _finish(sent, data, model, complaint)
        if schema is None or sent is Wire.EMBEDDINGS or is_asked(sent, data):
            asked = Asked(account.name, model.id, sent, data)
        else:
            native = self._presets[account.provider].strict_schema
            asked = self._learnt.ask(Asked(account.name, model.id, sent, data, schema, native))
        self._sampling.leave_out(asked)
        return asked

    def _follow(self, asked: Asked, account: Account, spec: Spec, listener: Listener | None) -> Following | None:
        """Have the answer sent as it is written, where somebody follows it and it needs no translation."""
        if listener is None or asked.wire is not spec.wire or asked.wire not in STREAMED:
            return None
        asked.data["stream"] = True
        if asked.wire is Wire.CHAT:
            asked.data["stream_options"] = {"include_usage": True}
        secrets = self._target(account, asked.wire, self._presets[account.provider]).secrets
        return Following(asked.wire, listener, secrets.out_of_answer)

    async def _exchange(
        self,
        asked: Asked,
        account: Account,
        spec: Spec,
        started: float,
        timeout: float,
        following: Following | None = None,
    ) -> Reply:
        """One request and its reply. ``started``: of the call, by ``time.perf_counter``."""
        preset = self._presets[account.provider]
        target = self._target(account, asked.wire, preset)
        left = max(0.001, timeout - (time.perf_counter() - started))
        try:
            poster = self._posters.get(target) or self._poster(target)
            heard = None if following is None else following.feed
            status, said, answer = await poster.post(orjson.dumps(asked.data), left, heard)
            if following is not None and is_stream(said):
                answer = following.answer()
                if answer is None:
                    raise aiohttp.ClientPayloadError("the stream ended in the middle")
        except TimeoutError:
            return _failed(timed_out(timeout), started)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            sent = not isinstance(error, aiohttp.ClientConnectorError)
            return _failed(target.secrets.out_of(connection_failed(error)), started, sent=sent)
        latency = time.perf_counter() - started
        return self._read_reply(asked, account, spec, status, said, answer, latency)

    def _read_reply(
        self,
        asked: Asked,
        account: Account,
        spec: Spec,
        status: int,
        said: Mapping[str, str],
        answer: bytes | None,
        latency: float,
    ) -> Reply:
        """What a response is that came whole. ``said``: its headers; ``answer``: its body, None: beyond bounds."""
        now = self._clock.now()
        preset = self._presets[account.provider]
        secrets = self._target(account, asked.wire, preset).secrets
        observed = observe(preset.dialect, said, now)
        request_id = secrets.out_of_text(said.get("x-request-id") or said.get("request-id"))

        def failed(failure: Failure, usage: Usage | None = None) -> Reply:
            return Reply(None, usage, secrets.out_of(failure), latency, observed, request_id)

        if answer is None:
            return failed(Failure(FailureClass.REQUEST, "answer_too_large", "the answer is larger than 64 MB", status))
        answer = secrets.out_of_answer(answer)
        try:
            data = parsed(answer)
            failure = classify(asked.wire, status, said, answer, now, data)
            if failure is not None:
                charged = status == 200 and isinstance(data, Mapping)  # a refusal inside a 200 was
                return failed(failure, _USAGE[asked.wire](data) if charged else None)
            usage = _USAGE[asked.wire](data)
            output = answer if asked.wire is spec.wire else orjson.dumps(translate_answer(spec.wire, asked.wire, data))
            return Reply(output, usage, None, latency, observed, request_id)
        except (TypeError, ValueError, AttributeError, LookupError) as error:
            strange = f"the answer is not what {FORMATS[asked.wire]} says: {error}"
            return failed(Failure(FailureClass.TRANSIENT, "bad_response", strange, status))

    def _target(self, account: Account, wire: Wire, preset: Preset) -> _Target:
        known = self._targets.get((account.name, wire))
        if known is None or known.account is not account:
            url = account.base_url + _PATHS[wire]
            headers = {"content-type": "application/json", "user-agent": f"laneway/{VERSION}", **account.headers}
            if wire is Wire.MESSAGES:
                headers.setdefault("anthropic-version", messages.VERSION)
            if account.key:
                bearer = preset.key_header == "authorization"
                headers[preset.key_header] = f"Bearer {account.key}" if bearer else account.key
            secrets = Secrets({*([account.key] if account.key else ()), *secret_headers(account.headers)})
            if known is not None:
                self._posters.pop(known, None)
            known = self._targets[account.name, wire] = _Target(account, url, headers, secrets)
        return known

    def _poster(self, target: _Target) -> Poster:
        assert self._session is not None, "the client is used inside its context"
        poster = Poster(self._session, target.url, target.headers, proxy_for(target.url))
        self._posters[target] = poster
        return poster


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """Where an account's calls go. Worked out once: the HTTP client would ask the environment at every call."""

    account: Account
    url: str
    headers: Mapping[str, str]
    secrets: Secrets


def proxy_for(url: str) -> str | None:
    """The proxy that the environment (``HTTPS_PROXY``, ``NO_PROXY``, …) names for a URL; none for this machine."""
    parts = urlsplit(url)
    if is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


_PATHS = {
    Wire.CHAT: "/chat/completions",
    Wire.RESPONSES: "/responses",
    Wire.EMBEDDINGS: "/embeddings",
    Wire.MESSAGES: "/messages",
}


def _finish(wire: Wire, data: dict[str, Any], model: Model, complaint: Complaint | None) -> dict[str, Any]:
    match wire:
        case Wire.MESSAGES:
            return messages.finish(data, model, complaint=complaint)
        case Wire.RESPONSES:
            return responses.finish(data, model, complaint=complaint)
        case Wire.EMBEDDINGS:
            return embeddings.finish(data, model)
        case _:
            return chat.finish(data, model, complaint=complaint)


_USAGE: Mapping[Wire, Callable[[Mapping[str, Any]], Usage | None]] = {
    Wire.CHAT: chat.usage,
    Wire.RESPONSES: responses.usage,
    Wire.EMBEDDINGS: chat.usage,
    Wire.MESSAGES: messages.usage,
}


def _failed(failure: Failure, started: float, *, sent: bool = True) -> Reply:
    return Reply(None, None, failure, time.perf_counter() - started, sent=sent)
