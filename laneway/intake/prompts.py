"""Prompt types: from a record to a Chat Completions request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from laneway.config.faults import close_match
from laneway.config.models import Config, TypeConfig
from laneway.config.templates import Template, TemplateFault, Templates
from laneway.errors import ConfigError, InputError
from laneway.intake.asked import Asked
from laneway.task import Spec, Wire
from laneway.triage.tokens import estimate_chat

TEXT_FIELDS = ("text", "document", "prompt", "content", "body", "message", "question", "input")
DEFAULT_OUTPUT_TOKENS = 256  # expected of an answer when nothing bounds it


@dataclass(frozen=True, slots=True)
class Rendered:
    body: bytes  # a Chat Completions request without its model
    text: str  # what the record says, for triage
    input_tokens: int
    output_tokens: int
    request: Mapping[str, Any]  # ``body``, parsed


@dataclass(frozen=True, slots=True)
class Document:
    """What belongs to a prompt without being a field: a text that its template may not mention, or a part beside it."""

    text: str
    part: Mapping[str, Any] | None = None


class PromptType:
    """One task type's templates and schema, read once. Raises ConfigError when they are not sound."""

    def __init__(
        self, config: Config, name: str, settings: TypeConfig | None = None, templates: Templates | None = None
    ):
        settings = settings or config.types.get(name)
        if settings is None:
            raise InputError(
                f"there is no task type {name!r}",
                hint=(close_match(name, config.types)[2:-1] or f"known types: {', '.join(config.types) or 'none'}")
                + f"; or add [types.{name}] to laneway.toml",
            )
        templates = templates or Templates(config.folder)
        self.name = name
        self.key_field = settings.key
        self._prompt = templates.load(settings.prompt) if settings.prompt else None
        if self._prompt is not None and self._prompt.blank:
            raise ConfigError(
                f"the prompt {self._prompt.name} is empty",
                hint="say in it what is to be done; {{ name }} stands for the column called name",
            )
        self._system = templates.load(settings.system) if settings.system else None
        self._mentions_text = any(one.mentions & {"text", "record"} for one in (self._prompt, self._system) if one)
        self._max_tokens = settings.max_output_tokens
        self.asked = Asked(config, name, settings)
        self.spec = Spec(
            type=name,
            wire=Wire.CHAT,
            max_attempts=settings.max_attempts or config.retry.max_attempts,
            retry_delays=tuple(config.retry.delays),
            timeout=settings.timeout,
            time_limit=settings.time_limit or config.retry.time_limit,
            output_schema=self.asked.schema,
            checks=self.asked.checks,
            escalate=config.escalates(name),
        )

    def render(self, record: Mapping[str, Any], document: Document | None = None) -> Rendered:
        """The request for a record, or for a document's fields. Raises InputError when a field is missing."""
        try:
            messages: list[dict[str, Any]] = []
            if self._system is not None:
                messages.append({"role": "system", "content": self._system.render(record)})
            user = self._about(document, record) if document else self._user(self._prompt, record)
        except TemplateFault as fault:
            raise InputError(str(fault)) from None
        messages.append({"role": "user", "content": user})
        body: dict[str, Any] = {"messages": messages}
        if self._max_tokens:
            body["max_tokens"] = self._max_tokens
        return Rendered(
            orjson.dumps(body),
            document.text if document else record_text(record) or user,
            estimate_chat(messages),
            self._max_tokens or DEFAULT_OUTPUT_TOKENS,
            body,
        )

    def _about(self, document: Document, record: Mapping[str, Any]) -> Any:
        """A document's text stands where the template puts it, else behind the prompt; a part stands before it, as
        Anthropic advises ("PDF support")."""
        said = self._prompt.render(record) if self._prompt else ""
        if document.text and not self._mentions_text:
            said = f"{said}\n\n{document.text}" if said else document.text
        if document.part is None:
            return said
        return [document.part, {"type": "text", "text": said}] if said.strip() else [document.part]

    def _user(self, prompt: Template | None, record: Mapping[str, Any]) -> str:
        if prompt is not None:
            said = prompt.render(record)
            if not said.strip():
                raise TemplateFault(f"{prompt.name}: the prompt comes out empty")
            return said
        for name in TEXT_FIELDS:
            if isinstance(record.get(name), str) and record[name]:
                return str(record[name])
        raise TemplateFault(f"type {self.name} has no prompt, and this record no {' or '.join(TEXT_FIELDS[:3])} field")


def record_text(record: Mapping[str, Any]) -> str:
    """What a record says: its text field, else all its words."""
    for name in TEXT_FIELDS:
        if isinstance(record.get(name), str) and record[name]:
            return str(record[name])
    return "\n".join(value for value in record.values() if isinstance(value, str))
