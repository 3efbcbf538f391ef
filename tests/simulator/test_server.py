"""The simulator over real sockets, at latency 0."""

from __future__ import annotations

import array
import asyncio
import base64
import json
from collections import Counter
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from tests.simulator.client import Client, chat_body, simulated

SCHEMA = {
    "type": "object",
    "properties": {"risk": {"enum": ["low", "high"]}, "why": {"type": "string"}},
    "required": ["risk", "why"],
    "additionalProperties": False,
}
ASKED = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA}}
ENDINGS = ("completed", "rate_limited", "errors", "cut", "hung", "unauthorized")


async def many(client: Client, n: int, **body: Any) -> list[int]:
    """The statuses of n requests, sent one after another; 0: the connection was cut."""
    statuses = []
    for i in range(n):
        try:
            statuses.append((await client.chat(f"request {i}", **body)).status)
        except aiohttp.ClientPayloadError:
            statuses.append(0)
    return statuses


class TestAnswers:
    async def test_chat(self) -> None:
        async with simulated(output_tokens=20) as client:
            answer = await client.chat("x" * 40)
            told = answer.json
            assert answer.status == 200
            assert answer.headers["x-request-id"]
            assert (told["object"], told["model"]) == ("chat.completion", "gpt-4o-mini")
            assert told["choices"][0]["finish_reason"] == "stop"
            assert told["choices"][0]["message"]["role"] == "assistant"
            assert told["choices"][0]["message"]["content"].startswith("Simulated answer: ")
            assert told["usage"]["prompt_tokens"] == 13
            assert told["usage"]["completion_tokens"] == 20
            assert told["usage"]["total_tokens"] == 33
            assert told["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
            stats = await client.stats()
            assert (stats["input_tokens"], stats["output_tokens"]) == (13, 20)

    async def test_lengths_differ_by_request_where_there_is_a_spread(self) -> None:
        async with simulated(output_tokens=100, output_spread=0.5) as client:
            lengths = [(await client.chat(text)).json["usage"]["completion_tokens"] for text in ("a", "b", "a")]
            assert lengths[0] == lengths[2] != lengths[1]

    async def test_responses(self) -> None:
        async with simulated(output_tokens=20) as client:
            body = {"model": "gpt-4o", "input": "hello", "max_output_tokens": 8}
            told = (await client.post("/responses", body)).json
            assert (told["object"], told["status"], told["incomplete_details"]["reason"]) == (
                "response",
                "incomplete",
                "max_output_tokens",
            )
            assert told["output"][0]["content"][0]["text"].startswith("Simulated answer: ")
            assert told["usage"]["output_tokens"] == 8

    async def test_messages(self) -> None:
        async with simulated(output_tokens=20) as client:
            answer = await client.messages("x" * 40, model="claude-sonnet-4-5", system="y" * 4)
            told = answer.json
            assert answer.headers["request-id"]
            assert (told["type"], told["model"], told["stop_reason"]) == ("message", "claude-sonnet-4-5", "end_turn")
            assert told["content"][0]["text"].startswith("Simulated answer: ")
            assert told["usage"]["input_tokens"] == 14
            assert told["usage"]["output_tokens"] == 20
            short = (await client.messages(max_tokens=5)).json
            assert (short["stop_reason"], short["usage"]["output_tokens"]) == ("max_tokens", 5)

    async def test_embeddings(self) -> None:
        async with simulated() as client:
            body = {"model": "text-embedding-3-small", "input": ["a", "b"], "dimensions": 4}
            told = (await client.post("/embeddings", body)).json
            assert [one["index"] for one in told["data"]] == [0, 1]
            assert len(told["data"][0]["embedding"]) == 4
            assert told["usage"] == {"prompt_tokens": 8, "total_tokens": 8}
            packed = (await client.post("/embeddings", {**body, "encoding_format": "base64"})).json
            assert array.array("f", base64.b64decode(packed["data"][1]["embedding"])).tolist() == pytest.approx(
                told["data"][1]["embedding"]
            )

    async def test_json_as_each_provider_is_asked_for_it(self) -> None:
        async with simulated() as client:
            chat = (await client.chat(response_format=ASKED)).json["choices"][0]["message"]["content"]
            text = {"format": {"type": "json_schema", "name": "verdict", "schema": SCHEMA}}
            body = {"model": "m", "input": "hello", "text": text}
            responses = (await client.post("/responses", body)).json["output"][0]["content"][0]["text"]
            wanted = {"type": "json_schema", "schema": SCHEMA}
            new = (await client.messages(output_config={"format": wanted})).json["content"][0]["text"]
            old = (await client.messages(output_format=wanted)).json["content"][0]["text"]
            for said in (chat, responses, new, old):
                Draft202012Validator(SCHEMA).validate(json.loads(said))
            plain = (await client.chat(response_format={"type": "json_object"})).json
            assert isinstance(json.loads(plain["choices"][0]["message"]["content"]), dict)

    async def test_paths_work_with_and_without_v1(self) -> None:
        async with simulated() as client:
            bare = client.url.removesuffix("/v1")
            for url in (client.url, bare):
                async with client.session.post(url + "/chat/completions", json=chat_body()) as response:
                    assert response.status == 200
                async with client.session.get(url + "/stats") as response:
                    assert (await response.json())["completed"] >= 1

    async def test_the_same_seed_gives_the_same_answers(self) -> None:
        said = []
        for seed in (1, 1, 2):
            async with simulated(seed=seed) as client:
                said.append((await client.chat()).json["choices"][0]["message"]["content"])
        assert said[0] == said[1] != said[2]


class TestStreams:
    async def test_chat(self) -> None:
        async with simulated() as client:
            whole = (await client.chat()).json
            body = chat_body(stream_options={"include_usage": True})
            events = await client.stream("/chat/completions", body)
            assert events[-1] == ("", "[DONE]")
            chunks = [json.loads(data) for _, data in events[:-1]]
            text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks if c["choices"])
            assert text == whole["choices"][0]["message"]["content"]
            assert chunks[-1]["usage"] == whole["usage"]
            assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
            bare = await client.stream("/chat/completions", chat_body())
            assert all("usage" not in json.loads(data) for _, data in bare[:-1]), "only where it was asked for"

    async def test_messages(self) -> None:
        async with simulated() as client:
            whole = (await client.messages()).json
            events = await client.stream("/messages", chat_body(max_tokens=100))
            names = [name for name, _ in events]
            assert names[:2] == ["message_start", "content_block_start"]
            assert names[-3:] == ["content_block_stop", "message_delta", "message_stop"]
            told = [json.loads(data) for _, data in events]
            assert [one["type"] for one in told] == names
            text = "".join(one["delta"]["text"] for one in told if one["type"] == "content_block_delta")
            assert text == whole["content"][0]["text"]
            assert told[-2]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]

    async def test_responses(self) -> None:
        async with simulated() as client:
            whole = (await client.post("/responses", {"model": "m", "input": "hello"})).json
            events = await client.stream("/responses", {"model": "m", "input": "hello"})
            told = [json.loads(data) for _, data in events]
            assert [one["sequence_number"] for one in told] == list(range(len(told)))
            text = "".join(one["delta"] for one in told if one["type"] == "response.output_text.delta")
            assert text == whole["output"][0]["content"][0]["text"]
            assert told[-1]["type"] == "response.completed"
            assert told[-1]["response"]["usage"] == whole["usage"]

    @pytest.mark.parametrize("path", ["/chat/completions", "/messages", "/responses"])
    async def test_an_overload_within_a_200(self, path: str) -> None:
        async with simulated(overload_stream_rate=1) as client:
            body = {"model": "m", "input": "hello"} if path == "/responses" else chat_body(max_tokens=100)
            events = await client.stream(path, body)
            assert "overloaded_error" in events[-1][1]
            assert (await client.post(path, body)).status == 200, "only streams"
            stats = await client.stats()
            assert (stats["errors"], stats["completed"]) == (1, 1)

    async def test_a_stream_takes_its_time_and_is_booked_before_it_ends(self) -> None:
        async with simulated(latency=0.4) as client:
            loop = asyncio.get_running_loop()
            began = loop.time()
            body = {**chat_body(), "stream": True}
            async with client.session.post(client.url + "/chat/completions", json=body) as response:
                headers = loop.time() - began
                assert (await client.stats())["in_flight"] == 1
                await response.read()
            assert headers < loop.time() - began
            assert loop.time() - began >= 0.38
            stats = await client.stats()
            assert (stats["completed"], stats["in_flight"]) == (1, 0)


class TestLimits:
    async def test_requests_a_minute(self) -> None:
        async with simulated(rpm=6, burst=50) as client:
            statuses = await many(client, 8)
            assert statuses == [200] * 5 + [429] * 3
            stats = await client.stats()
            assert (stats["requests"], stats["completed"], stats["rate_limited"]) == (8, 5, 3)
            assert stats["refused_by"] == {"requests": 3}

    async def test_a_429_of_openai(self) -> None:
        async with simulated(rpm=6) as client:
            ok = await client.chat()
            assert ok.headers["x-ratelimit-limit-requests"] == "6"
            assert ok.headers["x-ratelimit-remaining-requests"] == "0"
            assert ok.headers["x-ratelimit-reset-requests"].endswith("s")
            refused = await client.chat()
            assert refused.status == 429
            assert refused.json["error"]["code"] == "rate_limit_exceeded"
            assert refused.json["error"]["type"] == "requests"
            assert 0 < int(refused.headers["retry-after-ms"]) <= 1000 * int(refused.headers["retry-after"]) <= 10_000
            assert refused.headers["x-ratelimit-remaining-requests"] == "0"

    async def test_a_429_of_anthropic(self) -> None:
        async with simulated(rpm=6, input_tpm=60, burst=10) as client:
            ok = await client.messages()
            assert ok.headers["anthropic-ratelimit-requests-limit"] == "6"
            assert ok.headers["anthropic-ratelimit-input-tokens-remaining"] == "5"
            assert ok.headers["anthropic-ratelimit-requests-reset"].endswith("Z")
            refused = await client.messages()
            assert refused.status == 429
            assert refused.json["type"] == "error"
            assert refused.json["error"]["type"] == "rate_limit_error"
            assert 0 < int(refused.headers["retry-after"]) <= 10
            assert "retry-after-ms" not in refused.headers

    async def test_openai_tokens_are_charged_by_what_is_allowed(self) -> None:
        async with simulated(tpm=60, burst=100) as client:  # 100 tokens in the bucket
            assert (await client.chat("x" * 28, max_tokens=50)).headers["x-ratelimit-remaining-tokens"] == "40"
            refused = await client.chat("x" * 28, max_tokens=50)
            assert refused.status == 429
            assert refused.json["error"]["type"] == "tokens"

    async def test_anthropic_output_is_charged_by_what_is_used(self) -> None:
        async with simulated(output_tpm=60, burst=60, output_tokens=20) as client:  # 60 tokens in the bucket
            statuses = [(await client.messages(max_tokens=10_000)).status for _ in range(4)]
            assert statuses == [200, 200, 200, 429]
            assert (await client.stats())["refused_by"] == {"output_tokens": 1}

    async def test_limits_are_per_key(self) -> None:
        async with simulated(rpm=6, burst=20, key=["sk-one", "sk-two"]) as client:
            for key in ("sk-one", "sk-two"):
                assert [(await client.chat(key=key)).status for _ in range(3)] == [200, 200, 429]
            by_key = (await client.stats())["by_key"]
            assert by_key["sk-one"]["completed"] == by_key["sk-two"]["completed"] == 2
            assert by_key["sk-two"]["rate_limited"] == 1

    async def test_concurrency(self) -> None:
        async with simulated(latency=0.4, concurrency=3) as client:
            answers = await asyncio.gather(*(client.chat(str(i)) for i in range(5)))
            assert Counter(answer.status for answer in answers) == {200: 3, 429: 2}
            stats = await client.stats()
            assert (stats["max_in_flight"], stats["in_flight"]) == (3, 0)
            assert stats["refused_by"] == {"concurrency": 2}

    async def test_without_headers(self) -> None:
        async with simulated(rpm=6, no_headers=True) as client:
            for answer in (await client.chat(), await client.chat()):
                assert not [name for name in answer.headers if "ratelimit" in name or "retry" in name]


class TestFaults:
    async def test_every_request_ends_in_one_book(self) -> None:
        async with simulated(error_rate=0.2, rate_limit_rate=0.2, cut_rate=0.2, seed=3) as client:
            counts = Counter(await many(client, 100))
            stats = await client.stats()
            assert counts == {
                200: stats["completed"],
                429: stats["rate_limited"],
                500: stats["errors"],
                0: stats["cut"],
            }
            assert min(counts.values()) > 5
            assert stats["requests"] == sum(stats[ending] for ending in ENDINGS) == 100
            assert sum(stats["per_second"]) == 100
            assert stats["by_model"]["gpt-4o-mini"]["requests"] == 100
            assert stats["refused_by"] == {"injected": stats["rate_limited"]}

    async def test_faults_are_the_same_again_after_a_reset(self) -> None:
        async with simulated(error_rate=0.2, rate_limit_rate=0.2, cut_rate=0.2, seed=3) as client:
            first = await many(client, 40)
            await client.post("/reset", {})
            assert await many(client, 40) == first
            await client.control(seed=4)
            await client.post("/reset", {})
            assert await many(client, 40) != first

    async def test_a_500_of_each_provider(self) -> None:
        async with simulated(error_rate=1) as client:
            assert (await client.chat()).json["error"]["type"] == "server_error"
            broken = await client.messages()
            assert (broken.status, broken.json["error"]["type"]) == (500, "api_error")
            assert (await client.chat(stream=True)).status == 500

    async def test_what_befalls_a_call_is_settled_when_it_arrives(self) -> None:
        async with simulated(latency=0.2) as client:
            body = {**chat_body(), "stream": True}
            pending = asyncio.create_task(client.stream("/chat/completions", body))
            while (await client.stats())["in_flight"] == 0:
                pass
            await client.control(error_rate=1)
            assert (await pending)[-1] == ("", "[DONE]")

    async def test_a_cut_stream(self) -> None:
        async with simulated(cut_rate=1) as client:
            body = {**chat_body(), "stream": True}
            async with client.session.post(client.url + "/chat/completions", json=body) as response:
                assert response.status == 200
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()
            assert (await client.stats())["cut"] == 1

    async def test_malformed_answers_still_are_answers(self) -> None:
        async with simulated(malformed_rate=1) as client:
            for i in range(10):
                told = (await client.chat(str(i), response_format=ASKED)).json
                said = told["choices"][0]["message"]["content"]
                try:
                    value = json.loads(said)
                except ValueError:
                    continue
                assert not Draft202012Validator(SCHEMA).is_valid(value)
            assert (await client.stats())["completed"] == 10

    async def test_the_nth_request_hangs_until_its_client_leaves(self) -> None:
        async with simulated(hang_nth=2, concurrency=1) as client:
            assert (await client.chat()).status == 200
            hanging = asyncio.create_task(client.chat())
            while (stats := await client.stats())["hung"] == 0:
                pass
            assert (stats["in_flight"], hanging.done()) == (1, False)
            assert (await client.chat()).status == 429, "it holds its place"
            hanging.cancel()
            while (stats := await client.stats())["in_flight"]:
                pass
            assert (await client.chat()).status == 200

    async def test_a_client_that_leaves_is_still_charged(self) -> None:
        async with simulated(latency=0.1) as client:
            leaving = asyncio.create_task(client.chat())
            while (await client.stats())["in_flight"] == 0:
                pass
            leaving.cancel()
            while (stats := await client.stats())["in_flight"]:
                pass
            assert (stats["completed"], stats["disconnected"]) == (1, 1)
            assert stats["output_tokens"] > 0


class TestMistakes:
    @pytest.mark.parametrize(
        ("path", "body", "words"),
        [
            ("/chat/completions", b"{", "could not parse"),
            ("/chat/completions", b"[]", "not a JSON object"),
            ("/chat/completions", {"messages": [{"content": "x"}]}, "model"),
            ("/chat/completions", {"model": "m"}, "messages"),
            ("/chat/completions", {"model": "m", "messages": []}, "messages"),
            ("/chat/completions", chat_body(max_tokens="5"), "max_tokens"),
            ("/chat/completions", chat_body(n=2), "'n'"),
            ("/chat/completions", chat_body(response_format=5), "response_format"),
            ("/chat/completions", chat_body(response_format={"type": "xml"}), "response_format.type"),
            ("/chat/completions", chat_body(response_format={"type": "json_schema"}), "json_schema.schema"),
            (
                "/chat/completions",
                chat_body(response_format={"type": "json_schema", "json_schema": {"schema": {"$ref": "#/x"}}}),
                "which is not there",
            ),
            ("/responses", {"model": "m"}, "input"),
            ("/responses", {"model": "m", "input": "x", "text": {"format": {"type": "json_schema"}}}, "schema"),
            ("/embeddings", {"model": "m", "input": []}, "input"),
            ("/embeddings", {"model": "m", "input": ""}, "input"),
            ("/embeddings", {"model": "m", "input": "x", "dimensions": 0}, "dimensions"),
            ("/messages", chat_body(), "max_tokens: Field required"),
            ("/messages", {"max_tokens": 5, "model": "m"}, "messages"),
            (
                "/chat/completions",
                b'{"model": "m", "messages": ' + b"[" * 1020 + b"]" * 1020 + b"}",
                "nested too deeply",
            ),
        ],
    )
    async def test_a_400_in_the_providers_shape(self, path: str, body: Any, words: str) -> None:
        async with simulated() as client:
            refused = await client.post(path, body)
            assert refused.status == 400
            assert refused.json["error"]["type"] == "invalid_request_error"
            assert words in refused.json["error"]["message"]
            assert refused.json.get("type") == ("error" if path == "/messages" else None)
            assert (await client.stats())["errors"] == 1

    async def test_a_wrong_key(self) -> None:
        async with simulated(key=["sk-right"], rpm=60) as client:
            refused = await client.chat(key="sk-wrong-key")
            assert refused.status == 401
            assert refused.json["error"]["code"] == "invalid_api_key"
            claude = await client.post("/messages", chat_body(max_tokens=5), x_api_key="sk-wrong-key")
            assert (claude.status, claude.json["error"]["type"]) == (401, "authentication_error")
            assert (await client.get("/models")).status == 401
            assert (await client.get("/models", authorization="Bearer sk-right")).status == 200
            right = await client.post("/messages", chat_body(max_tokens=5), x_api_key="sk-right")
            assert right.status == 200, "refused keys take nothing from the limits"
            stats = await client.stats()
            assert stats["unauthorized"] == 2
            assert "sk-wrong-key" not in str(stats)

    async def test_unknown_models_and_paths(self) -> None:
        async with simulated(models={"strict": True, "gpt-4o": {}}) as client:
            gone = await client.chat()
            assert (gone.status, gone.json["error"]["code"]) == (404, "model_not_found")
            claude = await client.messages()
            assert (claude.status, claude.json["error"]["type"]) == (404, "not_found_error")
            assert (await client.chat(model="gpt-4o")).status == 200
            assert (await client.get("/models/gpt-5")).status == 404
            assert (await client.get("/chat/completions")).status == 404
            assert (await client.post("/completions", {})).json["error"]["type"] == "invalid_request_error"


class TestModels:
    MODELS: dict[str, Any] = {  # noqa: RUF012 - read only
        "small": {"input_price": 1, "output_price": 2, "quality": 0, "latency": 0},
        "strong": {"input_price": 10, "output_price": 20, "latency": 0.1},
    }

    async def test_price_quality_and_latency_are_the_models_own(self) -> None:
        async with simulated(models=self.MODELS, output_tokens=20) as client:
            loop = asyncio.get_running_loop()
            small = (await client.chat("x" * 28, model="small")).json
            began = loop.time()
            strong = (await client.chat("x" * 28, model="strong")).json
            assert loop.time() - began >= 0.095
            assert small["choices"][0]["message"]["content"].startswith("[uncertain]")
            assert strong["choices"][0]["message"]["content"].startswith("Simulated")
            stats = await client.stats()
            assert stats["by_model"]["small"]["cost_usd"] == pytest.approx((10 * 1 + 20 * 2) / 1e6)
            assert stats["cost_usd"] == pytest.approx((10 * 11 + 20 * 22) / 1e6)
            assert stats["unpriced"] == 0
            await client.chat(model="unheard-of")
            stats = await client.stats()
            assert stats["by_model"]["unheard-of"]["cost_usd"] is None
            assert stats["unpriced"] == 1

    async def test_quality_by_kind_of_request_stands_in_the_books(self) -> None:
        models = {"small": {"quality": 1, "kinds": {"(?i)contract": 0, "letter": 1}, "latency": 0}, "strong": {}}
        async with simulated(models=models, output_tokens=20, latency=0) as client:
            for text in ("a Contract and a letter", "a letter", "a bill"):
                for model in models:
                    await client.chat(text, model=model)
            stats = await client.stats()
            assert {name: (own["completed"], own["good"]) for name, own in stats["by_model"].items()} == {
                "small": (3, 2),
                "strong": (3, 3),
            }
            assert stats["good"] == 5

    async def test_the_list_of_models(self) -> None:
        async with simulated(models=self.MODELS) as client:
            listed = (await client.get("/models")).json
            assert [one["id"] for one in listed["data"]] == ["small", "strong"]
            claude = (await client.get("/models", anthropic_version="2023-06-01")).json
            assert (claude["first_id"], claude["has_more"]) == ("small", False)
            assert (await client.get("/models/small")).json["id"] == "small"


class TestControl:
    async def test_options_change_live(self) -> None:
        async with simulated(rpm=6) as client:
            assert await many(client, 2) == [200, 429]
            assert (await client.control(rpm=None, output_tokens=7)).json["output_tokens"] == 7
            assert await many(client, 3) == [200] * 3
            assert (await client.get("/control")).json["rpm"] is None

    async def test_wrong_options_are_refused_in_words(self) -> None:
        async with simulated() as client:
            for body, words in ((b'{"latncy": 1}', "did you mean 'latency'"), (b"[1]", "JSON object"), (b"{", "")):
                refused = await client.post("/control", body)
                assert refused.status == 400
                assert words in refused.json["error"]["message"]

    async def test_reset_empties_the_books_and_fills_the_buckets(self) -> None:
        async with simulated(rpm=6, burst=20) as client:
            assert await many(client, 3) == [200, 200, 429]
            await client.post("/reset", {})
            stats = await client.stats()
            assert [stats[name] for name in ("requests", "max_in_flight", *ENDINGS)] == [0] * 8
            assert stats["by_model"] == stats["by_key"] == {}
            assert stats["per_second"] == []
            assert await many(client, 2) == [200, 200]

    async def test_no_web_page_may_change_anything(self) -> None:
        async with simulated() as client:
            assert (await client.post("/control", {"rpm": 1}, origin="http://evil.example")).status == 403
            assert (await client.post("/reset", {}, origin="http://evil.example")).status == 403
