"""The simulator's HTTP side. One handler without a routing table: the simulator must cost less CPU than its clients."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from os import read as read_fd
from typing import Any

import orjson
from aiohttp import web

from laneway.simulator.options import Options
from laneway.simulator.provider import Call, Provider, Reply, wires
from laneway.simulator.wires.base import STATUS, Wire
from laneway.simulator.wires.chat import Chat
from laneway.simulator.wires.messages import Messages

LARGEST_BODY = 64 * 2**20  # bytes
FIRST_BYTE = 0.25  # of the latency, until a stream begins
STREAM_STEPS = 8  # in which the rest of it comes
_LOOK_S = 0.25  # how often a call that hangs looks for its client


class Simulator:
    """The handler. ``handle`` answers every request."""

    def __init__(self, options: Options) -> None:
        self.provider = Provider(options, time.monotonic())
        self._wires = wires()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.removeprefix("/").removeprefix("v1/").rstrip("/")
        wire = self._wires.get(path)
        if wire is not None and request.method == "POST":
            return await self._model_call(request, wire)
        match request.method, path:
            case "GET", "stats":
                return _json(200, self.provider.books.as_json(time.monotonic()))
            case "POST", "reset":
                return await self._reset(request)
            case "GET", "control":
                return _json(200, self.provider.options.as_json())
            case "POST", "control":
                return await self._control(request)
            case "GET", _ if path == "models" or path.startswith("models/"):
                return self._models(request, path.partition("/")[2])
        message = f"Unknown request URL: {request.method} {request.path}. Please check the URL for typos."
        return _json(STATUS["no_path"], _house(request).error("no_path", message))

    async def _model_call(self, request: web.BaseRequest, wire: Wire) -> web.StreamResponse:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            body = None
        except (ConnectionError, web.RequestPayloadError):  # it never arrived whole, and nobody is there to be told
            return web.Response(status=400)
        provider = self.provider
        taken = provider.arrive(wire, _key(request), body, time.monotonic(), time.time())
        if isinstance(taken, Reply):
            return _json(taken.status, taken.body, taken.headers)
        try:
            if taken.hangs:
                return await _hang(request)
            if taken.stream and taken.accident != "error":
                return await self._stream(request, taken)
            await asyncio.sleep(taken.delay)
            reply = provider.answer(taken, time.monotonic(), time.time())
            provider.end(taken, reply.ending, listening=_listening(request))
            if reply.cut:
                return await _cut(request, orjson.dumps(reply.body), reply.headers)
            return _json(reply.status, reply.body, reply.headers)
        finally:
            provider.leave(taken)

    async def _stream(self, request: web.BaseRequest, call: Call) -> web.StreamResponse:
        """Begin after a quarter of the latency, send the rest in a few steps. The last event goes out when the books
        are done, so that who has read it finds it counted."""
        provider = self.provider
        await asyncio.sleep(call.delay * FIRST_BYTE)
        reply = provider.answer(call, time.monotonic(), time.time())
        frames = reply.frames or []
        if reply.cut:
            frames = frames[: len(frames) // 2]
        response = web.StreamResponse(headers={**reply.headers, "content-type": "text/event-stream"})
        steps = _steps(frames, STREAM_STEPS if call.delay else 1)
        try:
            await response.prepare(request)
            for step in steps[:-1]:
                await response.write(step)
                await asyncio.sleep(call.delay * (1 - FIRST_BYTE) / (len(steps) - 1))
            provider.end(call, reply.ending, listening=_listening(request))
            await response.write(steps[-1])
            if reply.cut:
                _hang_up(request)
            else:
                await response.write_eof()
        except ConnectionError:
            provider.end(call, reply.ending, listening=False)
        return response

    def _models(self, request: web.BaseRequest, name: str) -> web.Response:
        house, known = _house(request), self.provider.options.models
        if not self.provider.knows(_key(request)):
            return _json(STATUS["unauthorized"], house.error("unauthorized", "Incorrect API key provided."))
        if name and known.find(name) is None:
            return _json(STATUS["no_model"], house.error("no_model", f"The model `{name}` does not exist."))
        names = [name] if name else list(known.by_name) or ["simulated"]
        if isinstance(house, Messages):
            when = "2026-01-01T00:00:00Z"
            told: list[dict[str, Any]] = [
                {"type": "model", "id": one, "display_name": one, "created_at": when} for one in names
            ]
            whole = {"data": told, "has_more": False, "first_id": names[0], "last_id": names[-1]}
        else:
            told = [{"id": one, "object": "model", "created": 1767225600, "owned_by": "simulator"} for one in names]
            whole = {"object": "list", "data": told}
        return _json(200, told[0] if name else whole)

    async def _reset(self, request: web.BaseRequest) -> web.Response:
        if refused := _from_a_page(request):
            return refused
        self.provider.reset(time.monotonic())
        return _json(200, {"reset": True})

    async def _control(self, request: web.BaseRequest) -> web.Response:
        if refused := _from_a_page(request):
            return refused
        try:
            changes = orjson.loads(await request.read())
            if not isinstance(changes, dict):
                raise ValueError("control takes a JSON object of options")  # noqa: TRY004, TRY301 - answered below
            self.provider.options.change(changes)
        except ValueError as error:
            return _json(400, {"error": {"message": str(error)}})
        return _json(200, self.provider.options.as_json())


def _key(request: web.BaseRequest) -> str:
    """As OpenAI, Anthropic or Azure has it."""
    headers = request.headers
    bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
    return headers.get("x-api-key") or headers.get("api-key") or bearer


def _house(request: web.BaseRequest) -> Wire:
    """Whose manners to use on paths that the providers share."""
    return Messages() if "anthropic-version" in request.headers else Chat()


def _from_a_page(request: web.BaseRequest) -> web.Response | None:
    """Browsers say where a request comes from; no page has any business here."""
    if "origin" not in request.headers:
        return None
    return _json(403, {"error": {"message": "not from a web page"}})


def _json(status: int, data: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(data), headers=headers, content_type="application/json")


def _listening(request: web.BaseRequest) -> bool:
    return request.transport is not None and not request.transport.is_closing()


async def _hang(request: web.BaseRequest) -> web.StreamResponse:
    """Answer nothing until the client has gone."""
    while _listening(request):  # noqa: ASYNC110 - aiohttp has no event for it
        await asyncio.sleep(_LOOK_S)
    return web.Response(status=500)


async def _cut(request: web.BaseRequest, body: bytes, headers: Mapping[str, str]) -> web.StreamResponse:
    """Announce a whole answer, send half of it, and hang up."""
    response = web.StreamResponse(headers={**headers, "content-type": "application/json"})
    response.content_length = len(body)
    try:
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
    except ConnectionError:
        return response
    _hang_up(request)
    return response


def _hang_up(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.close()


def _steps(frames: list[bytes], most: int) -> list[bytes]:
    """Frames put together into at most so many pieces, at least one."""
    size = max(1, -(-len(frames) // most))
    return [b"".join(frames[i : i + size]) for i in range(0, len(frames), size)] or [b""]


@asynccontextmanager
async def listening(options: Options, host: str, port: int) -> AsyncIterator[str]:
    """A server, gone at the end of the context. Gives its URL, with /v1. Raises OSError for a port in use."""
    loop = asyncio.get_running_loop()

    def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST_BODY)

    server = web.Server(Simulator(options).handle, request_factory=make, access_log=None, auto_decompress=False)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=4096).start()
        shown = f"[{host}]" if ":" in host else host
        yield f"http://{shown}:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def serve(
    options: Options, host: str, port: int, *, until_stdin_ends: bool = False, as_json: bool = False
) -> None:
    """Serve until cancelled, or until standard input ends. Prints one line when ready."""
    over = asyncio.Event()
    async with listening(options, host, port) as url:
        line = orjson.dumps({"url": url}).decode() if as_json else f"laneway simulator ready at {url}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        if until_stdin_ends:
            loop = asyncio.get_running_loop()
            threading.Thread(target=_tell_when_stdin_ends, args=(loop, over), daemon=True).start()
        await over.wait()


def _tell_when_stdin_ends(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    """On a thread of its own, which nothing waits for: a read from a pipe cannot be called off."""
    try:
        while read_fd(0, 4096):
            pass
    except OSError:
        pass
    try:
        loop.call_soon_threadsafe(over.set)
    except RuntimeError:  # the loop is closed: everything is over already
        return
