"""OpenAI Batch input: one ``{"custom_id", "method", "url", "body"}`` a line (OpenAI, "Batch API")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from laneway.config.models import Config
from laneway.intake.draft import BadLine, Draft
from laneway.intake.options import ReadOptions
from laneway.intake.prompts import DEFAULT_OUTPUT_TOKENS
from laneway.intake.records import LONGEST_KEY
from laneway.intake.source import Source
from laneway.task import Spec, Wire
from laneway.triage.patient import Pins
from laneway.triage.tokens import estimate_chat

URL = "/v1/chat/completions"
ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class _Bad(ValueError):
    """Why a line cannot be used."""


def drafts(source: Source, config: Config, options: ReadOptions) -> Iterator[Draft | BadLine]:
    spec = Spec(
        type=options.type or "chat",
        wire=Wire.CHAT,
        max_attempts=config.retry.max_attempts,
        retry_delays=tuple(config.retry.delays),
    )
    for number, raw in source.lines():
        if isinstance(raw, BadLine):
            yield raw
            continue
        try:
            yield _draft(number, raw, spec, options)
        except orjson.JSONDecodeError as error:
            yield BadLine(number, f"not JSON: {error}", raw)
        except _Bad as error:
            yield BadLine(number, str(error), raw)


def _draft(number: int, raw: bytes, spec: Spec, options: ReadOptions) -> Draft:
    line = orjson.loads(raw)
    if not isinstance(line, dict):
        raise _Bad("not a JSON object")
    key = line.get("custom_id")
    if not isinstance(key, str) or not key:
        raise _Bad("custom_id is missing or not a text")
    if len(key) > LONGEST_KEY:
        raise _Bad(f"custom_id is longer than {LONGEST_KEY} characters")
    if str(line.get("method", "POST")).upper() != "POST":
        raise _Bad(f"method is {line['method']!r}; only POST is known")
    if line.get("url", URL) != URL:
        raise _Bad(f"url is {line['url']!r}; this version runs {URL}")
    body = line.get("body")
    if not isinstance(body, dict):
        raise _Bad("body is missing or not an object")
    messages = _messages(body)
    if body.get("stream"):
        raise _Bad("body.stream is on; a batch is not streamed")
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise _Bad("body.model is not a text")
    allowed = body.get("max_completion_tokens", body.get("max_tokens"))
    if allowed is not None and (not isinstance(allowed, int) or isinstance(allowed, bool) or allowed < 1):
        raise _Bad("body.max_tokens is not a positive whole number")
    metadata = body["metadata"] if isinstance(body.get("metadata"), dict) else {}
    open_model = options.triage or model in (None, "", "auto")
    return Draft(
        line=number,
        key=key,
        spec=spec,
        body=orjson.dumps(body),
        text=_text(messages),
        input_tokens=estimate_chat(messages),
        output_tokens=allowed or DEFAULT_OUTPUT_TOKENS,
        pins=Pins(
            lane=options.lane,
            urgency=options.urgency,
            model=options.model or (None if open_model else model),
            by="--model" if options.model else "the request",
        ),
        tags=_tags(metadata),
        fields=metadata,
    )


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _Bad("body.messages is missing or empty")
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise _Bad(f"body.messages[{at}] is not an object")
        if message.get("role") not in ROLES:
            raise _Bad(f"body.messages[{at}].role is {message.get('role')!r}; one of {', '.join(ROLES)}")
        content = message.get("content")
        if isinstance(content, list):
            if not all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content):
                raise _Bad(f"body.messages[{at}].content has a part without a type")
        elif not isinstance(content, str) and not (content is None and message["role"] == "assistant"):
            raise _Bad(f"body.messages[{at}].content is neither a text nor a list of parts")
    return messages


def _text(messages: list[dict[str, Any]]) -> str:
    texts = []
    for message in messages:
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif isinstance(content, list):
            texts += [part["text"] for part in content if isinstance(part.get("text"), str)]
    return "\n".join(texts)


def _tags(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    tags = metadata.get("tags")
    return tuple(tag.strip() for tag in tags.split(",") if tag.strip()) if isinstance(tags, str) else ()
