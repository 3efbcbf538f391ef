"""The simulator's HTTP side: one handler, no routing table, so that it costs its clients little CPU."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from laneway.simulator import answers, formats
from laneway.simulator.books import Books
from laneway.simulator.formats import Ask
from laneway.simulator.limits import KeyLimits, Refusal
from laneway.simulator.options import Options, SimulatedModel


class Simulator:
    """One simulated provider. ``handle`` answers requests; everything else is what it decides by."""

    def __init__(self, options: Options, models: Mapping[str, SimulatedModel]) -> None:
        self.options = options
        self.models = models
        self.books = Books(time.monotonic())
        self._keys: dict[str, KeyLimits] = {}
        self._never = asyncio.Event()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix("/").removeprefix("v1/").rstrip("/")
        if request.method == "POST" and path in formats.PATHS:
            return await self._model_call(request, formats.PATHS[path])
        match request.method, path:
            case "GET", "stats":
                return _json(200, self.books.as_json())
            case "POST", "reset":
                self.books.reset(time.monotonic())
                for limits in self._keys.values():
                    for bucket in limits.buckets.values():
                        bucket.level = bucket.capacity
                return _json(200, {"reset": True})
            case "POST", "control":
                return await self._control(request)
            case "GET", "models":
                data = [
                    {"id": name, "object": "model", "owned_by": "simulator"} for name in self.models or ["simulated"]
                ]
                return _json(200, {"object": "list", "data": data})
        return _json(404, formats.error("chat", 404, "invalid_request_error", None, f"unknown url {request.path}"))

    async def _control(self, request: web.BaseRequest) -> web.Response:
        try:
            self.options.change(dict(orjson.loads(await request.read())))
        except (ValueError, TypeError) as error:
            return _json(400, {"error": str(error)})
        return _json(200, {**dataclasses.asdict(self.options), "key": len(self.options.key)})

    async def _model_call(self, request: web.BaseRequest, kind: str) -> web.StreamResponse:
        options, books = self.options, self.books
        key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
        number = books.arrived(key, time.monotonic())
        rng = random.Random(options.seed * 1_000_003 + number)
        if options.key and key not in options.key:
            books.unauthorized += 1
            type_ = "authentication_error" if kind == "messages" else "invalid_request_error"
            return _json(401, formats.error(kind, 401, type_, "invalid_api_key", "Incorrect API key provided."))
        try:
            ask = formats.understand(kind, orjson.loads(await request.read()))
        except ValueError as error:
            books.errors += 1
            return _json(400, formats.error(kind, 400, "invalid_request_error", None, str(error)))
        if options.hang_nth is not None and number == options.hang_nth:
            books.hung += 1
            await self._never.wait()
        if rng.random() < options.rate_limit_rate:
            return self._refused(kind, Refusal("injected", 0.2), None)
        fault = rng.random()
        text, output_tokens, cut = self._answer(ask, rng)
        limits = self._keys.setdefault(key, KeyLimits())
        refused = limits.arrive(options, ask.input_tokens, output_tokens, ask.max_tokens or 0, time.monotonic())
        if refused is not None:
            return self._refused(kind, refused, limits)
        books.started()
        try:
            await asyncio.sleep(self._latency(ask.model, rng))
            if fault < options.error_rate:
                books.errors += 1
                return _json(500, formats.error(kind, 500, "server_error", None, "The server had an error."))
            if fault < options.error_rate + options.cut_rate:
                books.cut += 1
                return await _cut(request)
            whole = formats.answer(ask, number, text, output_tokens, cut, time.time())
            headers = {} if options.no_headers else formats.limit_headers(kind, limits, time.monotonic())
            headers["request-id" if kind == "messages" else "x-request-id"] = f"req_sim{number}"
            if ask.stream and rng.random() < options.overload_stream_rate:
                books.errors += 1
                return await _stream(request, ask, whole, text, headers, overloaded=True)
            if request.transport is None:
                books.disconnected += 1
            books.answered(ask.model, self.models.get(ask.model), ask.input_tokens, output_tokens)
            if ask.stream and kind in ("chat", "messages"):
                return await _stream(request, ask, whole, text, headers)
            return _json(200, whole, headers)
        finally:
            books.in_flight -= 1
            limits.in_flight -= 1

    def _refused(self, kind: str, refused: Refusal, limits: KeyLimits | None) -> web.Response:
        self.books.rate_limited += 1
        self.books.refused_by[refused.kind] += 1
        body, headers = formats.refusal(kind, refused)
        if limits is not None and not self.options.no_headers:
            headers |= formats.limit_headers(kind, limits, time.monotonic())
        return _json(429, body, headers)

    def _latency(self, model: str, rng: random.Random) -> float:
        own = self.models.get(model)
        base = self.options.latency if own is None or own.latency is None else own.latency
        return base * rng.lognormvariate(0.0, self.options.spread) if self.options.spread else base

    def _answer(self, ask: Ask, rng: random.Random) -> tuple[str, int, bool]:
        """(text, output tokens, whether it was cut off). The same for the same seed, model and request."""
        if ask.kind == "embeddings":
            return "", 0, False
        own = random.Random(f"{self.options.seed}|{ask.model}|{ask.text}")
        model = self.models.get(ask.model)
        good = model is None or own.random() < model.quality
        if ask.schema is None:
            text = answers.text(own, self.options.output_tokens, good)
        else:
            schema = (
                {"type": "object", "properties": {"answer": {"type": "string"}}} if ask.schema is True else ask.schema
            )
            text = orjson.dumps(answers.instance(schema, own)).decode()
        if rng.random() < self.options.malformed_rate:
            text = text[: max(1, len(text) // 2)]
        tokens = max(1, -(-len(text) // formats.CHARS_PER_TOKEN))
        if ask.max_tokens and tokens > ask.max_tokens and ask.schema is None:
            return text[: ask.max_tokens * formats.CHARS_PER_TOKEN], ask.max_tokens, True
        return text, tokens, False


def _json(status: int, data: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(data), headers=headers, content_type="application/json")


async def _cut(request: web.BaseRequest) -> web.StreamResponse:
    """Announce an answer, send the beginning of it, and hang up."""
    response = web.StreamResponse(headers={"content-type": "application/json", "content-length": "1000"})
    await response.prepare(request)
    await response.write(b'{"id": "chatcmpl-cut"')
    if request.transport is not None:
        request.transport.close()
    return response


async def _stream(
    request: web.BaseRequest,
    ask: Ask,
    whole: Mapping[str, Any],
    text: str,
    headers: Mapping[str, str],
    *,
    overloaded: bool = False,
) -> web.StreamResponse:
    response = web.StreamResponse(headers={**headers, "content-type": "text/event-stream"})
    await response.prepare(request)
    events = formats.chunks(ask, whole, text)
    if overloaded:
        failure = formats.error(ask.kind, 200, "overloaded_error", "overloaded_error", "Overloaded")
        events = [*events[:2], ("error", failure)]
    for event, data in events:
        named = f"event: {event}\n".encode() if event else b""
        await response.write(named + b"data: " + orjson.dumps(data) + b"\n\n")
    if ask.kind == "chat" and not overloaded:
        await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def serve(
    options: Options, models: Mapping[str, SimulatedModel], host: str, port: int, *, until_stdin_ends: bool = False
) -> None:
    """Serve until cancelled, or until standard input ends. Prints one line when ready."""
    simulator = Simulator(options, models)
    runner = web.ServerRunner(web.Server(simulator.handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port, backlog=4096)
    await site.start()
    actual = runner.addresses[0][1]
    sys.stdout.write(f"laneway simulator ready at http://{host}:{actual}/v1\n")
    sys.stdout.flush()
    try:
        if until_stdin_ends:
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        else:
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()
