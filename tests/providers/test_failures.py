"""Bodies and headers as the providers send them, and what each means."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.providers.failures import LONGEST_MESSAGE, classify
from laneway.providers.headers import observe, retry_after
from laneway.providers.model import Observed
from laneway.providers.presets import Dialect
from laneway.task import FailureClass, Wire

NOW = 1_700_000_000.0
CHAT, MESSAGES, RESPONSES, EMBEDDINGS = Wire.CHAT, Wire.MESSAGES, Wire.RESPONSES, Wire.EMBEDDINGS
TRANSIENT, ACCOUNT, REQUEST = FailureClass.TRANSIENT, FailureClass.ACCOUNT, FailureClass.REQUEST


def openai(message: str, type_: str = "invalid_request_error", code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": type_, "param": None, "code": code}}


def anthropic(type_: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": type_, "message": message}, "request_id": "req_011"}


CASES = [
    # OpenAI
    (CHAT, 429, openai("Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000. Please try again in 1.2s.", "tokens", "rate_limit_exceeded"), TRANSIENT, "rate_limit_exceeded"),
    (CHAT, 429, openai("You exceeded your current quota, please check your plan and billing details.", "insufficient_quota", "insufficient_quota"), ACCOUNT, "insufficient_quota"),
    (CHAT, 401, openai("Incorrect API key provided: sk-proj-abcdefghijkl.", "invalid_request_error", "invalid_api_key"), ACCOUNT, "invalid_api_key"),
    (CHAT, 403, openai("Project does not have access to model gpt-4o", "invalid_request_error", "model_not_found"), REQUEST, "model_not_found"),
    (CHAT, 403, openai("Country, region, or territory not supported", "request_forbidden", "unsupported_country_region_territory"), ACCOUNT, "unsupported_country_region_territory"),
    (CHAT, 404, openai("The model `gpt-9` does not exist", "invalid_request_error", "model_not_found"), REQUEST, "model_not_found"),
    (CHAT, 400, openai("This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.", "invalid_request_error", "context_length_exceeded"), REQUEST, "context_length_exceeded"),
    (CHAT, 400, openai("Invalid value: 'foo'", "invalid_request_error", "invalid_value"), REQUEST, "invalid_value"),
    (CHAT, 500, openai("The server had an error while processing your request", "server_error"), TRANSIENT, "server_error"),
    (CHAT, 503, openai("The engine is currently overloaded, please try again later", "server_error"), TRANSIENT, "server_error"),
    (CHAT, 408, openai("Request timed out", "timeout"), TRANSIENT, "timeout"),
    # Azure
    (CHAT, 429, {"error": {"code": "429", "message": "Requests to the ChatCompletions_Create Operation have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 6 seconds."}}, TRANSIENT, "429"),
    (CHAT, 400, {"error": {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.", "code": "content_filter", "status": 400}}, REQUEST, "content_filter"),
    (CHAT, 401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key or wrong API endpoint."}}, ACCOUNT, "401"),
    # Anthropic
    (MESSAGES, 429, anthropic("rate_limit_error", "This request would exceed your organization's rate limit of 50,000 input tokens per minute."), TRANSIENT, "rate_limit_error"),
    (MESSAGES, 429, anthropic("rate_limit_error", "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01."), ACCOUNT, "rate_limit_error"),
    (MESSAGES, 400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade."), ACCOUNT, "invalid_request_error"),
    (MESSAGES, 400, anthropic("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), REQUEST, "context_length_exceeded"),
    (MESSAGES, 401, anthropic("authentication_error", "invalid x-api-key"), ACCOUNT, "authentication_error"),
    (MESSAGES, 403, anthropic("permission_error", "Your API key does not have permission to use the specified resource."), ACCOUNT, "permission_error"),
    (MESSAGES, 404, anthropic("not_found_error", "model: claude-9"), REQUEST, "not_found_error"),
    (MESSAGES, 413, anthropic("request_too_large", "Request exceeds the maximum size"), REQUEST, "request_too_large"),
    (MESSAGES, 500, anthropic("api_error", "Internal server error"), TRANSIENT, "api_error"),
    (MESSAGES, 529, anthropic("overloaded_error", "Overloaded"), TRANSIENT, "overloaded_error"),
    (MESSAGES, 200, anthropic("overloaded_error", "Overloaded"), TRANSIENT, "overloaded_error"),
    # Gateways and local servers
    (CHAT, 402, {"error": {"message": "Insufficient credits. Add more using https://openrouter.ai/credits", "code": 402}}, ACCOUNT, "http_402"),
    (CHAT, 404, {"error": "model 'llama9' not found"}, REQUEST, "http_404"),
    (CHAT, 400, {"object": "error", "message": "The decoder prompt (length 9000) is longer than the maximum context length of 8192", "type": "BadRequestError", "code": 400}, REQUEST, "context_length_exceeded"),
    (CHAT, 400, [{"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT"}}], ACCOUNT, "INVALID_ARGUMENT"),
    (CHAT, 200, {"choices": []}, TRANSIENT, "bad_response"),
    (CHAT, 200, {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}, REQUEST, "content_filter"),
    (CHAT, 200, {"choices": [{"message": {"content": None, "refusal": "I cannot."}, "finish_reason": "stop"}]}, REQUEST, "refusal"),
    (MESSAGES, 200, {"content": [], "stop_reason": "refusal"}, REQUEST, "refusal"),
    # Responses that failed inside a 200
    (RESPONSES, 200, {"status": "failed", "error": {"code": "server_error", "message": "It failed."}}, TRANSIENT, "server_error"),
    (RESPONSES, 200, {"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Slow down."}}, TRANSIENT, "rate_limit_exceeded"),
    (RESPONSES, 200, {"status": "failed", "error": {"code": "invalid_prompt", "message": "No."}}, REQUEST, "invalid_prompt"),
    (RESPONSES, 200, {"status": "failed", "error": {"code": "image_content_policy_violation", "message": "No."}}, REQUEST, "image_content_policy_violation"),
    (RESPONSES, 200, {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}, REQUEST, "content_filter"),
    (RESPONSES, 200, {"status": "completed", "output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}]}, REQUEST, "refusal"),
    (RESPONSES, 200, {"status": "in_progress", "output": []}, TRANSIENT, "bad_response"),
    (EMBEDDINGS, 200, {"data": []}, TRANSIENT, "bad_response"),
]  # fmt: skip


@pytest.mark.parametrize(("wire", "status", "body", "cls", "code"), CASES)
def test_what_providers_say(wire: Wire, status: int, body: Any, cls: FailureClass, code: str) -> None:
    failure = classify(wire, status, {}, orjson.dumps(body), NOW)
    assert failure is not None
    assert (failure.cls, failure.code) == (cls, code)
    assert failure.message
    assert "sk-proj" not in failure.message


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateways_html_is_an_outage(status: int) -> None:
    failure = classify(CHAT, status, {}, b"<html><h1>Bad gateway</h1>\x00</html>", NOW)
    assert failure is not None
    assert (failure.cls, failure.outage, failure.message) == (TRANSIENT, True, "Bad gateway")


def test_only_a_true_429_is_a_refusal_and_only_the_provider_being_down_an_outage() -> None:
    limited = classify(CHAT, 429, {"retry-after": "7"}, b"{}", NOW)
    assert limited is not None
    assert (limited.refused, limited.outage, limited.retry_after) == (True, False, 7)
    down = classify(CHAT, 500, {}, b"{}", NOW)
    assert down is not None
    assert (down.refused, down.outage) == (False, True)


def test_a_redirect_says_what_is_probably_wrong() -> None:
    failure = classify(CHAT, 301, {"location": "https://example.com/login"}, b"", NOW)
    assert failure is not None
    assert failure.cls is ACCOUNT
    assert "base_url" in failure.message


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"404 page not found"),
        (404, b"<html><title>404 Not Found</title></html>"),
        (404, b'{"detail":"Not Found"}'),
        (405, b"Method Not Allowed"),
        (404, b'{"error":{"message":"Invalid URL (POST /chat/completions)","type":"invalid_request_error"}}'),
    ],
)
def test_a_wrong_base_url_blames_no_task(status: int, body: bytes) -> None:
    failure = classify(CHAT, status, {}, body, NOW)
    assert failure is not None
    assert (failure.cls, failure.code) == (ACCOUNT, "wrong_address")
    assert "/v1" in failure.message


def test_a_page_in_a_200_is_an_outage() -> None:
    failure = classify(CHAT, 200, {}, b"<html><title>Sign in</title></html>", NOW)
    assert failure is not None
    assert (failure.cls, failure.outage) == (TRANSIENT, True)
    assert "proxy" in failure.message


def test_an_answer_is_no_failure() -> None:
    chat = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    assert classify(CHAT, 200, {}, orjson.dumps(chat), NOW) is None
    assert classify(MESSAGES, 200, {}, orjson.dumps({"content": [], "stop_reason": "end_turn"}), NOW) is None
    cut: dict[str, Any] = {
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [],
        "error": None,
    }
    assert classify(RESPONSES, 200, {}, orjson.dumps(cut), NOW) is None
    assert classify(EMBEDDINGS, 200, {}, orjson.dumps({"data": [{"embedding": []}]}), NOW) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "choices", "content", "status", "output", "data"]),
            inner,
        )
    ),
)


@given(
    st.sampled_from([CHAT, MESSAGES, RESPONSES, EMBEDDINGS]),
    st.integers(200, 599),
    st.binary(max_size=300) | JSON.map(orjson.dumps),
)
def test_nothing_a_provider_sends_breaks_the_classification(wire: Wire, status: int, body: bytes) -> None:
    failure = classify(wire, status, {}, body, NOW)
    if failure is not None:
        assert len(failure.message) <= LONGEST_MESSAGE
        assert failure.message.isprintable()


class TestHeaders:
    def test_openai(self) -> None:
        headers = {
            "x-ratelimit-limit-requests": "500", "x-ratelimit-remaining-requests": "499",
            "x-ratelimit-reset-requests": "120ms", "x-ratelimit-limit-tokens": "30000",
            "x-ratelimit-remaining-tokens": "29000", "x-ratelimit-reset-tokens": "6m0s",
        }  # fmt: skip
        assert observe(Dialect.OPENAI, headers, NOW) == (
            Observed("requests", 500, 499, 0.12),
            Observed("tokens", 30000, 29000, 360),
        )

    def test_anthropic(self) -> None:
        headers = {
            "anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2023-11-14T22:13:25Z",
            "anthropic-ratelimit-output-tokens-limit": "8000", "anthropic-ratelimit-output-tokens-remaining": "8000",
        }  # fmt: skip
        assert observe(Dialect.ANTHROPIC, headers, NOW) == (
            Observed("requests", 50, 49, 5.0),
            Observed("output_tokens", 8000, 8000, None, slack=500),
        )

    @pytest.mark.parametrize(("said", "slack"), [("7000", 500.0), ("7001", 0.0), ("0", 500.0)])
    def test_tokens_that_anthropic_rounds_to_thousands_are_read_as_such(self, said: str, slack: float) -> None:
        headers = {"anthropic-ratelimit-tokens-limit": "8000", "anthropic-ratelimit-tokens-remaining": said}
        assert observe(Dialect.ANTHROPIC, headers, NOW)[0].slack == slack

    @pytest.mark.parametrize(
        ("limit", "remaining", "reset", "window"),
        [
            ("200", "199", "7m12s", 86400.0),  # OpenAI's lowest tiers
            ("200", "150", "6h0m0s", 86400.0),
            ("60", "59", "1s", 60.0),
            ("600", "10", "1s", 60.0),  # a bucket of one second
            ("600", "599", "9000000s", 60.0),  # in a hundred days
            ("600", "600", "0s", 60.0),
            ("600", "599", "2020-01-01T00:00:00Z", 60.0),
        ],
    )
    def test_whether_openai_speaks_of_the_day(self, limit: str, remaining: str, reset: str, window: float) -> None:
        headers = {
            "x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": remaining,
            "x-ratelimit-reset-requests": reset,
        }  # fmt: skip
        assert observe(Dialect.OPENAI, headers, NOW)[0].window == window

    def test_more_than_the_limit_cannot_remain(self) -> None:
        headers = {"x-ratelimit-limit-tokens": "100", "x-ratelimit-remaining-tokens": "1000"}
        assert observe(Dialect.OPENAI, headers, NOW) == (Observed("tokens", 100, None, None),)

    def test_groqs_requests_are_per_day(self) -> None:
        headers = {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370"}
        assert observe(Dialect.GROQ, headers, NOW)[0].window == 86400

    @pytest.mark.parametrize("value", ["-1", "nan", "inf", "", "many", "1e99"])
    def test_absurd_values_are_ignored(self, value: str) -> None:
        headers = {"x-ratelimit-limit-requests": value, "x-ratelimit-remaining-requests": value}
        assert observe(Dialect.OPENAI, headers, NOW) == ()

    @given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset-tokens", "x-ratelimit-limit-tokens"]), st.text()))  # fmt: skip
    def test_nothing_raises(self, headers: dict[str, str]) -> None:
        for dialect in Dialect:
            observe(dialect, headers, NOW)
        wait = retry_after(headers, NOW)
        assert wait is None or 0 <= wait <= 3600

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"retry-after": "20"}, 20),
            ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
            ({"retry-after": "Tue, 14 Nov 2023 22:13:30 GMT"}, 10),
            ({"retry-after": "-5"}, None),
            ({"retry-after": "99999999"}, 3600),
            ({}, None),
        ],
    )
    def test_retry_after(self, headers: dict[str, str], seconds: float | None) -> None:
        assert retry_after(headers, NOW) == seconds
