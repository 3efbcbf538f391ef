"""Batch lines, each recognised by itself: OpenAI's ``{"custom_id", "method", "url", "body"}`` (OpenAI, "Batch API") and
Anthropic's ``{"custom_id", "params"}`` (Anthropic, "Create a Message Batch"), also as its POST body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from laneway.config.models import Config
from laneway.intake.asked import Asked
from laneway.intake.batch import anthropic, openai
from laneway.intake.batch.request import Bad, Request
from laneway.intake.draft import BadLine, Draft
from laneway.intake.options import ReadOptions
from laneway.intake.records import LONGEST_KEY, tags_of
from laneway.providers.translate import Refusals
from laneway.task import Spec, Wire
from laneway.triage.patient import Pins
from laneway.triage.tokens import estimate_body

MOST_PINS = 1_000  # remembered: a batch may name any number of models
URLS = {
    "/v1/chat/completions": Wire.CHAT,
    "/v1/responses": Wire.RESPONSES,
    "/v1/embeddings": Wire.EMBEDDINGS,
}
_READERS: Mapping[Wire, Callable[[dict[str, Any]], Request]] = {
    Wire.CHAT: openai.chat,
    Wire.RESPONSES: openai.responses,
    Wire.EMBEDDINGS: openai.embeddings,
    Wire.MESSAGES: anthropic.messages,
}


def is_batch_line(line: Any) -> bool:
    """Whether a parsed line is a batch request of some provider, be it a sound one or not."""
    if not isinstance(line, dict):
        return False
    if isinstance(line.get("params"), dict):
        return "custom_id" in line
    return isinstance(line.get("body"), dict) and ("custom_id" in line or "url" in line)


class BatchLines:
    """Turns batch lines into drafts."""

    def __init__(self, config: Config, options: ReadOptions) -> None:
        self._config = config
        self._options = options
        self._specs: dict[Wire, Spec] = {}
        self._pins: dict[tuple[Wire, str | None], Pins] = {}

    def drafts(self, lines: Iterable[tuple[int, bytes | BadLine]]) -> Iterator[Draft | BadLine]:
        for number, raw in lines:
            if isinstance(raw, BadLine):
                yield raw
                continue
            try:
                yield self._draft(number, raw)
            except orjson.JSONDecodeError as error:
                yield BadLine(number, f"not JSON: {error}", raw)
            except Bad as error:
                yield BadLine(number, str(error), raw)

    def _draft(self, number: int, raw: bytes) -> Draft:
        line = orjson.loads(raw)
        if not isinstance(line, dict):
            raise Bad("not a JSON object")
        key = _key(line)
        wire, body = _opened(line)
        return self.draft(number, key, wire, body)

    def draft(self, number: int, key: str, wire: Wire, body: dict[str, Any]) -> Draft:
        """Of one request. Raises Bad when it cannot be used."""
        request = _READERS[wire](body)
        model = body.get("model")
        if model is not None and not isinstance(model, str):
            raise Bad(f"{'params' if wire is Wire.MESSAGES else 'body'}.model is not a text")
        stored = orjson.dumps(body)
        return Draft(
            line=number,
            key=key,
            spec=self._spec(wire),
            body=stored,
            text=request.text,
            input_tokens=estimate_body(wire, body),
            output_tokens=request.output_tokens,
            pins=self._pins_of(wire, model),
            tags=tags_of(request.fields.get("tags")),
            fields=request.fields,
            refused_by=Refusals(wire, stored),
            attachments=request.attachments,
        )

    def _pins_of(self, wire: Wire, model: str | None) -> Pins:
        """One object for all requests that name the same model."""
        pins = self._pins.get((wire, model))
        if pins is None:
            if len(self._pins) >= MOST_PINS:
                self._pins.clear()
            options = self._options
            named = model not in (None, "", "auto")
            is_open = options.triage and wire is not Wire.EMBEDDINGS  # vectors of another model mean something else
            pins = self._pins[wire, model] = Pins(
                lane=options.lane,
                urgency=options.urgency,
                model=options.model or (model if named and not is_open else None),
                by="--model" if options.model else "the request",
                asked=model if named else None,
            )
        return pins

    def _spec(self, wire: Wire) -> Spec:
        """A type for each format unless the command names one, whose own limits then hold."""
        if wire not in self._specs:
            config, name = self._config, self._options.type or wire.value
            own = config.types.get(name)
            checks = Asked(config, name, own).checks_of_bodies() if own else ()
            if checks and wire is Wire.EMBEDDINGS:
                raise Bad(f"the type {name} has checks of its answers, and embeddings are none")
            self._specs[wire] = Spec(
                type=name,
                wire=wire,
                max_attempts=(own and own.max_attempts) or config.retry.max_attempts,
                retry_delays=tuple(config.retry.delays),
                timeout=own.timeout if own else None,
                time_limit=(own and own.time_limit) or config.retry.time_limit,
                checks=checks,
                escalate=wire is not Wire.EMBEDDINGS and config.escalates(name),
            )
        return self._specs[wire]


def request_of(wire: Wire, body: dict[str, Any]) -> Request:
    """What triage wants to know of a body that is stored already. Raises Bad when it is none of this format's."""
    return _READERS[wire](body)


def _key(line: Mapping[str, Any]) -> str:
    key = line.get("custom_id")
    if not isinstance(key, str) or not key:
        raise Bad("custom_id is missing or not a text")
    if len(key) > LONGEST_KEY:
        raise Bad(f"custom_id is longer than {LONGEST_KEY} characters")
    return key


def _opened(line: Mapping[str, Any]) -> tuple[Wire, dict[str, Any]]:
    """The format and the body of a line."""
    if "params" in line and "body" not in line:
        params = line["params"]
        if not isinstance(params, dict):
            raise Bad("params is not an object")
        return Wire.MESSAGES, params
    if str(line.get("method", "POST")).upper() != "POST":
        raise Bad(f"method is {line['method']!r}; only POST is known")
    url = line.get("url", "/v1/chat/completions")
    path = url if isinstance(url, str) else ""
    wire = URLS.get(path if path.startswith("/v1/") else f"/v1{path}")  # Azure's examples leave /v1 out
    if wire is None:
        raise Bad(f"url is {url!r}; one of {', '.join(URLS)}")
    body = line.get("body")
    if not isinstance(body, dict):
        raise Bad("body is missing or not an object")
    return wire, body
