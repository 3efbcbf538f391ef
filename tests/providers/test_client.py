"""The HTTP client against a server that does whatever it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest
from aiohttp import web

from laneway.clock import SystemClock
from laneway.providers.client import Client, proxy_for
from laneway.providers.model import Account, Model, Observed, Reply
from laneway.task import FailureClass, Spec, Usage, Wire

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
BODY = orjson.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5})
CHAT = {
    "choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1},
}
CLAUDE = {
    "content": [{"type": "text", "text": "yes"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 1},
}
RESPONSE = {
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}],
    "usage": {"input_tokens": 9, "output_tokens": 2, "input_tokens_details": {"cached_tokens": 3}},
}
CANARY = "sk-canary-42424242"


@pytest.fixture
async def ask() -> AsyncIterator[Callable[..., Awaitable[Reply]]]:
    """``await ask(handler, wire=…)``: one call to a server with that handler."""
    runners: list[web.ServerRunner] = []

    async def call(
        handler: Handler,
        wire: Wire = Wire.CHAT,
        timeout: float = 10,
        spec: Spec | None = None,
        body: bytes = BODY,
        model_id: str = "the-id",
    ) -> Reply:
        runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.01)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        provider = "anthropic" if wire is Wire.MESSAGES else "openai"
        account = Account("main", provider, wire, url, key=CANARY, responses=True)
        async with Client(SystemClock()) as client:
            model = Model("small", model_id, (account,))
            return await client.call(account, model, spec or Spec("chat", Wire.CHAT), body, timeout=timeout)

    yield call
    for runner in runners:
        await runner.cleanup()


async def test_an_answer_with_its_usage_and_limits(ask: Callable[..., Awaitable[Reply]]) -> None:
    seen: list[tuple[str, str, dict[str, object]]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.path, request.headers["authorization"], orjson.loads(await request.read())))
        headers = {"x-request-id": "r1", "x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499"}
        return web.json_response(CHAT, headers=headers)

    reply = await ask(handler)
    assert seen[0][:2] == ("/v1/chat/completions", f"Bearer {CANARY}")
    assert seen[0][2]["model"] == "the-id"
    assert (reply.usage, reply.failure, reply.request_id) == (Usage(3, 1), None, "r1")
    assert reply.observed == (Observed("requests", 500, 499, None),)


async def test_claude_is_asked_and_answers_in_the_tasks_own_format(ask: Callable[..., Awaitable[Reply]]) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.path == "/v1/messages"
        assert request.headers["x-api-key"] == CANARY
        assert "anthropic-version" in request.headers
        assert orjson.loads(await request.read())["max_tokens"] == 5
        return web.json_response(CLAUDE)

    reply = await ask(handler, Wire.MESSAGES)
    assert orjson.loads(reply.output or b"")["choices"][0]["message"]["content"] == "yes"


async def test_each_format_goes_to_its_own_path(ask: Callable[..., Awaitable[Reply]]) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        said = orjson.loads(await request.read())
        match request.path:
            case "/v1/responses":
                assert said["text"]["format"]["schema"] == {"type": "object"}
                return web.json_response(RESPONSE)
            case "/v1/embeddings":
                usage = {"prompt_tokens": 7, "total_tokens": 7}
                return web.json_response({"data": [{"index": 0, "embedding": [0.5]}], "usage": usage})
        return web.json_response(CHAT)

    structured = Spec("r", Wire.RESPONSES, output_schema={"type": "object"})
    reply = await ask(handler, spec=structured, body=b'{"input": "hi"}')
    assert orjson.loads(reply.output or b"") == RESPONSE
    assert reply.usage == Usage(9, 2, 3)
    reply = await ask(handler, spec=Spec("e", Wire.EMBEDDINGS), body=b'{"input": "hi"}')
    assert reply.usage == Usage(7, 0)
    assert orjson.loads(reply.output or b"")["data"]
    reply = await ask(handler, spec=Spec("m", Wire.MESSAGES), body=BODY)
    assert orjson.loads(reply.output or b"")["content"] == [{"type": "text", "text": "yes"}]


async def test_what_an_account_cannot_carry_is_a_failure_before_any_call(ask: Callable[..., Awaitable[Reply]]) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError("nothing is sent")

    reply = await ask(handler, Wire.MESSAGES, spec=Spec("e", Wire.EMBEDDINGS), body=b'{"input": "hi"}')
    assert reply.failure is not None
    assert (reply.failure.cls, reply.failure.code) == (FailureClass.REQUEST, "untranslatable")
    reply = await ask(handler, Wire.MESSAGES, body=b'{"messages": [{"role": "user", "content": "x"}], "seed": 1}')
    assert reply.failure is not None
    assert "'seed'" in reply.failure.message
    malformed = b'{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}'
    assert (await ask(handler, Wire.MESSAGES, body=malformed)).failure is not None


async def test_what_a_model_would_refuse_is_left_out(
    ask: Callable[..., Awaitable[Reply]], caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert "temperature" not in orjson.loads(await request.read())
        return web.json_response(CLAUDE)

    body = orjson.dumps({**orjson.loads(BODY), "temperature": 0})
    assert (await ask(handler, Wire.MESSAGES, body=body, model_id="claude-opus-5")).failure is None
    assert "claude-opus-5 takes no temperature" in caplog.text


async def test_a_sampling_parameter_that_a_model_turns_out_to_refuse_is_left_out_from_then_on(
    ask: Callable[..., Awaitable[Reply]], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[set[str]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        said = orjson.loads(await request.read())
        seen.append(set(said) & {"temperature", "top_p"})
        for name in ("temperature", "top_p"):
            if name in said:
                message = f"Unsupported value: '{name}' does not support 0 with this model."
                return web.json_response({"error": {"message": message, "code": "unsupported_value"}}, status=400)
        return web.json_response(CHAT)

    body = orjson.dumps({**orjson.loads(BODY), "temperature": 0, "top_p": 0.5})
    assert (await ask(handler, body=body)).failure is None
    assert seen == [{"temperature", "top_p"}, {"top_p"}, set()]
    assert caplog.text.count("the-id takes no") == 2


async def test_a_value_that_is_wrong_is_not_left_out(ask: Callable[..., Awaitable[Reply]]) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        message = "Invalid 'temperature': decimal above maximum value."
        return web.json_response({"error": {"message": message}}, status=400)

    assert (await ask(handler, body=orjson.dumps({**orjson.loads(BODY), "temperature": 7}))).failure is not None


UNCOUNTED = {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}}
FILTERED = {"choices": [{"finish_reason": "content_filter"}], "usage": {"prompt_tokens": "many"}}


@pytest.mark.parametrize("answer", [UNCOUNTED, FILTERED, []])
async def test_a_strange_answer_is_a_failure(ask: Callable[..., Awaitable[Reply]], answer: object) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(answer)

    reply = await ask(handler)
    assert reply.failure is not None
    assert (reply.failure.cls, reply.failure.code) == (FailureClass.TRANSIENT, "bad_response")


async def test_what_can_go_wrong_is_a_failure_and_never_raises(ask: Callable[..., Awaitable[Reply]]) -> None:
    async def cut(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async def slow(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async def half(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.close()
        return response

    async def moved(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=301, headers={"location": "https://elsewhere.example/"})

    async def html(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="<html>welcome</html>", content_type="text/html")

    async def wrong(request: web.BaseRequest) -> web.StreamResponse:
        error = {"error": {"message": f"Incorrect API key provided: {CANARY}", "code": "invalid_api_key"}}
        return web.json_response(error, status=401)

    found = {
        handler.__name__: (await ask(handler, timeout=0.05 if handler is slow else 10)).failure
        for handler in (cut, slow, half, moved, html, wrong)
    }
    assert {name: failure and (failure.cls, failure.code) for name, failure in found.items()} == {
        "cut": (FailureClass.TRANSIENT, "connection"),
        "slow": (FailureClass.TRANSIENT, "timeout"),
        "half": (FailureClass.TRANSIENT, "connection"),
        "moved": (FailureClass.ACCOUNT, "wrong_address"),
        "html": (FailureClass.TRANSIENT, "web_page"),
        "wrong": (FailureClass.ACCOUNT, "invalid_api_key"),
    }
    assert CANARY not in str(found)


async def test_nobody_there(ask: Callable[..., Awaitable[Reply]]) -> None:
    account = Account("main", "openai", Wire.CHAT, "http://127.0.0.1:1/v1")
    async with Client(SystemClock()) as client:
        reply = await client.call(account, Model("m", "m", (account,)), Spec("chat", Wire.CHAT), BODY, timeout=5)
    assert reply.failure is not None
    assert (reply.failure.code, reply.failure.outage) == ("connection", True)
    assert reply.failure.message == "the connection failed: nothing listens at 127.0.0.1:1"


def test_proxies_of_the_environment_are_honoured_but_not_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_for("https://api.openai.com/v1") == "http://proxy:3128"
    assert proxy_for("https://inside.example/v1") is None
    assert proxy_for("http://127.0.0.1:8000/v1") is None


VERDICT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize("wire", [Wire.CHAT, Wire.MESSAGES])
async def test_a_refused_schema_is_asked_for_in_a_weaker_way_in_the_same_call(
    ask: Callable[..., Awaitable[Reply]], wire: Wire
) -> None:
    seen: list[dict[str, Any]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        said = orjson.loads(await request.read())
        seen.append(said)
        if "response_format" in said or "output_config" in said:
            error = {"type": "invalid_request_error", "message": "Invalid schema for response_format / output_config"}
            return web.json_response({"type": "error", "error": error}, status=400)
        return web.json_response(CLAUDE if wire is Wire.MESSAGES else CHAT)

    reply = await ask(handler, wire, spec=Spec("chat", Wire.CHAT, output_schema=VERDICT))
    assert reply.failure is None
    assert len(seen) == (3 if wire is Wire.MESSAGES else 4)
    assert "JSON Schema" in orjson.dumps(seen[-1]).decode()


async def test_a_body_that_asks_for_a_format_itself_is_not_asked_again(ask: Callable[..., Awaitable[Reply]]) -> None:
    calls = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        calls.append(orjson.loads(await request.read())["response_format"])
        return web.json_response({"error": {"message": "Invalid schema for response_format"}}, status=400)

    own = {"type": "json_schema", "json_schema": {"name": "own", "schema": {}}}
    body = orjson.dumps({"messages": [{"role": "user", "content": "hi"}], "response_format": own})
    reply = await ask(handler, spec=Spec("chat", Wire.CHAT, output_schema=VERDICT), body=body)
    assert reply.failure is not None
    assert reply.failure.cls is FailureClass.REQUEST
    assert calls == [own]
