"""OpenAI's request bodies, checked as its API would (API reference: Chat Completions, Responses, Embeddings).

Kinds of content parts that are not known here pass: servers with OpenAI's format take some of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from laneway.intake.batch.request import Bad, Request, answers, held, no_stream, parts, positive, text_of

CHAT_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
RESPONSES_ROLES = ("user", "assistant", "system", "developer")
MOST_INPUTS = 2048  # texts in one embeddings request


def chat(body: dict[str, Any]) -> Request:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Bad("body.messages is missing or empty")
    texts: list[str] = []
    seen: set[str] = set()
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            raise Bad(f"body.messages[{at}] is not an object")
        role = message.get("role")
        if role not in CHAT_ROLES:
            raise Bad(f"body.messages[{at}].role is {role!r}; one of {', '.join(CHAT_ROLES)}")
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif content is not None or role != "assistant":
            texts += _chat_parts(content, f"body.messages[{at}].content", seen)
    no_stream(body, "body")
    allowed = positive(body, "body", "max_completion_tokens", "max_tokens")
    return Request("\n".join(texts), answers(body, allowed), frozenset(seen), _metadata(body))


def _chat_parts(content: Any, where: str, seen: set[str]) -> Iterator[str]:
    for kind, part, place in parts(content, where):
        if kind == "text":
            yield text_of(part, place)
        elif kind == "image_url":
            held(part, "image_url", place, "url")
            seen.add("image")
        elif kind == "file":
            data = str(held(part, "file", place, "file_data", "file_id").get("file_data") or "")
            if not data.startswith("data:") or data.startswith("data:application/pdf"):
                seen.add("pdf")


def responses(body: dict[str, Any]) -> Request:
    given = body.get("input")
    texts: list[str] = []
    seen: set[str] = set()
    instructions = body.get("instructions")
    if isinstance(instructions, str):
        texts.append(instructions)
    elif instructions is not None:
        raise Bad("body.instructions is not a text")
    if isinstance(given, str) and given:
        texts.append(given)
    elif isinstance(given, list) and given:
        for at, item in enumerate(given):
            texts += _item(item, f"body.input[{at}]", seen)
    elif given or not any(body.get(name) for name in ("prompt", "conversation", "previous_response_id")):
        raise Bad("body.input is missing, empty, or neither a text nor a list of items")
    no_stream(body, "body")
    if body.get("background"):
        raise Bad("body.background is on; a batch waits for its answers")
    allowed = positive(body, "body", "max_output_tokens")
    return Request("\n".join(texts), answers({}, allowed), frozenset(seen), _metadata(body))


def _item(item: Any, where: str, seen: set[str]) -> Iterator[str]:
    if not isinstance(item, dict) or not ("role" in item or isinstance(item.get("type"), str)):
        raise Bad(f"{where} is neither a message nor an item with a type")
    if item.get("type", "message") != "message":
        return
    if item.get("role") not in RESPONSES_ROLES:
        raise Bad(f"{where}.role is {item.get('role')!r}; one of {', '.join(RESPONSES_ROLES)}")
    content = item.get("content")
    if isinstance(content, str):
        yield content
    for kind, part, place in parts(content, f"{where}.content"):
        if kind in ("input_text", "output_text"):
            yield text_of(part, place)
        elif kind == "input_image":
            _one_of(part, place, "image_url", "file_id")
            seen.add("image")
        elif kind == "input_file":
            _one_of(part, place, "file_data", "file_id", "file_url")
            seen.add("pdf")
        elif kind in ("text", "image_url", "file"):
            raise Bad(f"{place} is a {kind!r} part, as Chat Completions has it; Responses has input_text, input_image")


def _one_of(part: Mapping[str, Any], where: str, *names: str) -> None:
    if not any(isinstance(part.get(name), str) and part[name] for name in names):
        raise Bad(f"{where} has no {' or '.join(names)}")


def embeddings(body: dict[str, Any]) -> Request:
    given = body.get("input")
    no_stream(body, "body")
    if isinstance(given, str) and given:
        return Request(given, 0)
    if not isinstance(given, list) or not given:
        raise Bad("body.input is missing or empty; a text, a list of texts, or tokens")
    if len(given) > MOST_INPUTS and not _tokens(given):
        raise Bad(f"body.input has {len(given):,} texts; OpenAI takes {MOST_INPUTS:,} in a request")
    if all(isinstance(one, str) and one for one in given):
        return Request("\n".join(given), 0)
    if _tokens(given) or all(isinstance(one, list) and one and _tokens(one) for one in given):
        return Request("", 0)
    raise Bad("body.input is neither a list of texts (none of them empty) nor of tokens")


def _tokens(values: list[Any]) -> bool:
    return all(isinstance(one, int) and not isinstance(one, bool) and one >= 0 for one in values)


def _metadata(body: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = body.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
