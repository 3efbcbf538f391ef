"""Every way a call can fail, classified in one place.

Sources: OpenAI "Error codes", Anthropic "Errors" and "Rate limits", Azure OpenAI and Groq error references, and what
gateways and local servers are seen to send; the facts are collected in ``design/providers.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from laneway.providers.headers import retry_after
from laneway.task import Failure, FailureClass, Wire

LONGEST_MESSAGE = 500
_CREDIT = re.compile(
    r"insufficient[_ ]quota|exceeded your current quota|billing|credit balance|spend(ing)? (limit|cap)|usage limits?\b"
    r"|insufficient (funds|credits?|balance)|payment required|workspace api usage",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"context[_ ]length|maximum context|context window|prompt is too long|too many (input )?tokens|input is too long"
    r"|exceeds? the (available |model's )?context",
    re.IGNORECASE,
)
_FILTER = re.compile(
    r"content[_ ](filter|policy|management)|responsibleai|safety (system|policy)|flagged", re.IGNORECASE
)
_OF_THE_REQUEST = re.compile(r"context|invalid_|image|policy", re.IGNORECASE)  # also codes of a failed response
_NO_PATH = re.compile(r"invalid url|(unknown|unrecognized) request url|no route|cannot post", re.IGNORECASE)
_BAD_KEY = re.compile(r"api[ _-]?key (is )?(not valid|invalid|missing|expired)|invalid api[ _-]?key", re.IGNORECASE)
_KEY = re.compile(r"(sk|gsk|xai|pk|key)-[A-Za-z0-9_\-]{6,}|Bearer\s+\S+|AIza[\w\-]{10,}", re.IGNORECASE)


def classify(
    wire: Wire, status: int, headers: Mapping[str, str], body: bytes, now: float, said: Any = None
) -> Failure | None:
    """The failure that a reply is, None when it is an answer. ``wire``: the format that was sent; ``now``: seconds
    since 1970; ``said``: the body's JSON, where it has been parsed."""
    said = parsed(body) if said is None else said
    if status == 200 and isinstance(said, Mapping) and not _is_error(said):
        return _IN_AN_ANSWER[wire](said)
    code, kind, message = _words(said, body, status)
    if status == 200:
        return _in_a_200(said, code, kind, message, headers, now, page=body.lstrip()[:1] == b"<")
    wait = retry_after(headers, now)

    def failure(cls: FailureClass, name: str = "", *, refused: bool = False, outage: bool = False) -> Failure:
        return Failure(cls, name or code or kind or f"http_{status}", message, status, wait, refused, outage)

    text = f"{code} {kind} {message}"
    if astray := _astray(wire, status, headers, said, message):
        return Failure(FailureClass.ACCOUNT, "wrong_address", astray, status)
    match status:
        case 401 | 402:
            return failure(FailureClass.ACCOUNT)
        case 403:
            if _FILTER.search(text) or "model" in f"{code} {kind}":
                return failure(FailureClass.REQUEST)
            return failure(FailureClass.ACCOUNT)
        case 429:
            if _CREDIT.search(text) and not re.search(r"rate.?limit|per (minute|second|day)|tokens per", message, re.I):
                return failure(FailureClass.ACCOUNT)
            if code == "insufficient_quota" or kind == "insufficient_quota":
                return failure(FailureClass.ACCOUNT)
            return failure(FailureClass.TRANSIENT, code or kind or "rate_limit_exceeded", refused=True)
        case 408 | 409 | 425:
            return failure(FailureClass.TRANSIENT)
        case 413:
            return failure(FailureClass.REQUEST, code or "request_too_large")
        case 529:
            return failure(FailureClass.TRANSIENT, code or kind or "overloaded_error", outage=True)
    if status >= 500:
        return failure(FailureClass.TRANSIENT, outage=True)
    if _CONTEXT.search(text):
        return failure(FailureClass.REQUEST, "context_length_exceeded")
    if _FILTER.search(text):
        return failure(FailureClass.REQUEST, "content_filter")
    if _CREDIT.search(text) or _BAD_KEY.search(text):
        return failure(FailureClass.ACCOUNT)
    return failure(FailureClass.REQUEST)


def _astray(wire: Wire, status: int, headers: Mapping[str, str], said: Any, message: str) -> str:
    """Why calls arrive where there is no API: then no task is to blame, and the next one would fare no better. "" where
    they arrive. (Servers without JSON, FastAPI's "Not Found", OpenAI's "Invalid URL (POST /chat/completions)".)"""
    if 300 <= status < 400:
        return f"the endpoint redirects to {clean(headers.get('location', 'elsewhere'))}; base_url is probably wrong"
    if status not in (404, 405) or wire not in (Wire.CHAT, Wire.MESSAGES):
        return ""
    bare = (
        isinstance(said, Mapping)
        and said.keys() == {"detail"}
        and said["detail"] in ("Not Found", "Method Not Allowed")
    )
    if bare or not isinstance(said, Mapping | list) or _NO_PATH.search(message):
        return f"nothing takes calls at this base_url, which mostly ends with /v1 ({status}: {message[:100]})"
    return ""


def _is_error(said: Mapping[str, Any]) -> bool:
    return bool(said.get("error")) or said.get("type") == "error"


def _in_a_200(
    said: Any, code: str, kind: str, message: str, headers: Mapping[str, str], now: float, *, page: bool
) -> Failure:
    """A 200 that carries an error, or nothing that can be used."""
    if not isinstance(said, Mapping):
        if page:
            told = f"a web page comes instead of answers ({message}): base_url is wrong, or a proxy wants a login"
            return Failure(FailureClass.TRANSIENT, "web_page", told, 200, outage=True)
        return Failure(FailureClass.TRANSIENT, "bad_response", "the answer is not JSON", 200)
    wait = retry_after(headers, now)
    if "overloaded" in f"{code} {kind}" or "rate_limit" in f"{code} {kind}":
        return Failure(FailureClass.TRANSIENT, code or kind, message, 200, wait, outage="overloaded" in kind)
    if _OF_THE_REQUEST.search(f"{code} {kind}"):
        return Failure(FailureClass.REQUEST, code or kind, message, 200)
    return Failure(FailureClass.TRANSIENT, code or kind or "error", message, 200, wait)


def _in_messages(said: Mapping[str, Any]) -> Failure | None:
    if said.get("stop_reason") == "refusal":
        return Failure(FailureClass.REQUEST, "refusal", "the model refused to answer", 200)
    return None if isinstance(said.get("content"), list) else _unusable("the answer has no content")


def _in_chat(said: Mapping[str, Any]) -> Failure | None:
    choices = said.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
        return _unusable("the answer has no choices")
    if choices[0].get("finish_reason") == "content_filter":
        return Failure(FailureClass.REQUEST, "content_filter", "the provider's content filter stopped the answer", 200)
    message = choices[0].get("message")
    if isinstance(message, Mapping) and message.get("refusal") and not message.get("content"):
        return Failure(FailureClass.REQUEST, "refusal", f"the model refused: {clean(str(message['refusal']))}", 200)
    return None


def _in_responses(said: Mapping[str, Any]) -> Failure | None:
    """A response may have failed, or be incomplete: with its tokens used up it is an answer all the same, as it is in
    Chat Completions."""
    status, details = said.get("status"), said.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, Mapping) else None
    if status == "incomplete" and reason == "content_filter":
        return Failure(FailureClass.REQUEST, "content_filter", "the provider's content filter stopped the answer", 200)
    if status not in ("completed", "incomplete"):
        return _unusable(f"the response is {clean(str(status))}")
    items = said.get("output")
    if not isinstance(items, list):
        return _unusable("the answer has no output")
    contents = [item.get("content") for item in items if isinstance(item, Mapping)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    refusals = [part["refusal"] for part in parts if isinstance(part, Mapping) and part.get("type") == "refusal"]
    if refusals and len(refusals) == len(parts):
        return Failure(FailureClass.REQUEST, "refusal", f"the model refused: {clean(str(refusals[0]))}", 200)
    return None


def _in_embeddings(said: Mapping[str, Any]) -> Failure | None:
    data = said.get("data")
    return None if isinstance(data, list) and data else _unusable("the answer has no embeddings")


def _unusable(message: str) -> Failure:
    return Failure(FailureClass.TRANSIENT, "bad_response", message, 200)


_IN_AN_ANSWER: Mapping[Wire, Callable[[Mapping[str, Any]], Failure | None]] = {
    Wire.CHAT: _in_chat,
    Wire.RESPONSES: _in_responses,
    Wire.EMBEDDINGS: _in_embeddings,
    Wire.MESSAGES: _in_messages,
}


def parsed(body: bytes) -> Any:
    """None when it is not JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _words(said: Any, body: bytes, status: int) -> tuple[str, str, str]:
    """(code, type, message) of an error body, whoever sent it."""
    if isinstance(said, list) and said:  # Gemini wraps errors in a list
        said = said[0]
    error = said.get("error", said) if isinstance(said, Mapping) else None
    if isinstance(error, str):  # Ollama
        return "", "", clean(error)
    if isinstance(error, Mapping):
        message = error.get("message") or (said.get("message") if isinstance(said, Mapping) else "") or ""
        detail = error.get("detail")
        if not message and detail:
            message = detail if isinstance(detail, str) else orjson.dumps(detail).decode()
        code = _word(error.get("code")) or _word(error.get("status"))
        return code, _word(error.get("type")), clean(str(message)) or f"the provider answered {status}"
    text = re.sub(r"<[^>]*>", " ", body[:2000].decode("utf-8", "replace"))
    return "", "", clean(text) or f"the provider answered {status}"


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def clean(text: str) -> str:
    """One line, bounded, without control characters or anything shaped like a key."""
    text = _KEY.sub("[key]", "".join(char if char.isprintable() else " " for char in text[: 4 * LONGEST_MESSAGE]))
    return " ".join(text.split())[:LONGEST_MESSAGE]


def timed_out(seconds: float) -> Failure:
    return Failure(FailureClass.TRANSIENT, "timeout", f"no answer within {seconds:g} s", outage=True)


def connection_failed(error: BaseException) -> Failure:
    """No answer because of the connection: refused, cut, reset, not resolved."""
    words = clean(_plain(error)) or type(error).__name__
    return Failure(FailureClass.TRANSIENT, "connection", f"the connection failed: {words}", outage=True)


def _plain(error: BaseException) -> str:
    """``nothing listens at 127.0.0.1:8090``, where the HTTP library speaks of ssl:default and Errno 111."""
    cause = getattr(error, "os_error", None)
    if isinstance(cause, ConnectionRefusedError):
        return f"nothing listens at {getattr(error, 'host', '')}:{getattr(error, 'port', '')}"
    return str(error).replace(" ssl:default", "")
