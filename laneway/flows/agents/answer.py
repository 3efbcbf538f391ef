"""A Chat Completions answer as pydantic-ai's ModelResponse."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import (
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.usage import RequestUsage

from laneway.flows.agents.request import SYSTEM, THINKING_FIELDS
from laneway.providers.chat import usage

_FINISHED: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
}
_THOUGHTS = re.compile(r"\s*<think(?:ing)?>(.*?)</think(?:ing)?>\s*", re.DOTALL)  # local reasoning models


def model_response(answer: Mapping[str, Any], model: str) -> ModelResponse:
    """``model``: whose name is told where the answer tells none. The same answer always makes the same response, its
    time the answer's own. Raises UnexpectedModelBehavior for what is no answer."""
    choice = (answer.get("choices") or [{}])[0]
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise UnexpectedModelBehavior(f"{model} gave an answer without a message", orjson.dumps(answer).decode())
    finish = choice.get("finish_reason")
    details = {"finish_reason": finish} if finish else {}
    refused = message.get("refusal")
    if refused:
        details["refusal"] = refused
    created = answer.get("created")
    return ModelResponse(
        parts=[] if refused else [*_thoughts(message), *_texts(message), *_calls(message, answer)],
        usage=request_usage(answer),
        model_name=answer.get("model") or model,
        timestamp=datetime.fromtimestamp(created if isinstance(created, int | float) else 0, UTC),
        provider_name=SYSTEM,
        provider_response_id=answer.get("id") or None,
        provider_details=details or None,
        finish_reason="content_filter" if refused else _FINISHED.get(finish or "stop"),
    )


def request_usage(answer: Mapping[str, Any]) -> RequestUsage:
    """As the provider counted; of an answer without figures it is told that there are none."""
    used = usage(answer)
    if used is None:
        return RequestUsage(unmeasured_requests=1)
    details = (answer.get("usage") or {}).get("completion_tokens_details") or {}
    reasoning = int(details.get("reasoning_tokens") or 0)
    return RequestUsage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cache_read_tokens=used.cached_tokens,
        cache_write_tokens=used.written_tokens,
        output_reasoning_tokens=reasoning,
        details={"reasoning_tokens": reasoning} if reasoning else {},
    )


def _thoughts(message: Mapping[str, Any]) -> Iterator[ModelResponsePart]:
    for field in THINKING_FIELDS:  # those that send both say the same in both
        if isinstance(thought := message.get(field), str) and thought:
            yield ThinkingPart(thought, id=field, provider_name=SYSTEM)
            return


def _texts(message: Mapping[str, Any]) -> Iterator[ModelResponsePart]:
    content = message.get("content")
    if isinstance(content, list):  # as Mistral's servers do
        content = "".join(part.get("text") or "" for part in content if isinstance(part, Mapping))
    if not content:
        return
    if thought := _THOUGHTS.match(content):
        yield ThinkingPart(thought[1].strip(), id="content", provider_name=SYSTEM)
        content = content[thought.end() :]
    if content:
        yield TextPart(content)


def _calls(message: Mapping[str, Any], answer: Mapping[str, Any]) -> Iterator[ModelResponsePart]:
    for at, call in enumerate(message.get("tool_calls") or ()):
        function = call.get("function")
        if not isinstance(function, Mapping):
            raise UnexpectedModelBehavior("a tool call that is no function's", orjson.dumps(call).decode())
        extra = call.get("extra_content")
        yield ToolCallPart(
            function.get("name") or "",
            function.get("arguments"),
            tool_call_id=call.get("id") or _own_id(answer, at),
            provider_name=SYSTEM if extra else None,
            provider_details={"extra_content": extra} if extra else None,
        )


def _own_id(answer: Mapping[str, Any], at: int) -> str:
    """For servers that give none: the same whenever the same answer is read."""
    digest = hashlib.blake2b(orjson.dumps(answer, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
    return f"call_{digest}_{at}"
