"""How a model is asked for JSON of a schema: in the provider's own way where it has one, else in words.

Sources: OpenAI "Structured outputs" (response_format, text.format; what strict mode takes), Anthropic "Structured
outputs" (output_config.format and its limitations).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import orjson

from laneway.logs import Quoted
from laneway.task import Failure, Wire

log = logging.getLogger(__name__)


class Mode(StrEnum):
    """Ways to ask, strongest first. Which ones there are depends on format, provider and schema."""

    WHOLE = "the schema as it is"
    PLAIN = "the schema without what this provider refuses"
    OBJECT = "JSON mode, with the schema in the prompt"
    PROMPT = "the schema in the prompt"


def modes(wire: Wire, schema: Mapping[str, Any], *, native: bool) -> tuple[Mode, ...]:
    """The ways to ask for a schema in a request of format ``wire``. ``native``: the provider takes JSON Schemas."""
    if wire is Wire.MESSAGES:
        plain = (Mode.PLAIN,) if plain_schema(schema) is not None else ()
        return (Mode.WHOLE, *plain, Mode.PROMPT)
    weak = (Mode.OBJECT, Mode.PROMPT) if _is_object(schema) else (Mode.PROMPT,)
    if not native:
        return weak
    return (Mode.WHOLE, Mode.PLAIN, *weak) if strict_terms(schema) else (Mode.WHOLE, *weak)


def is_asked(wire: Wire, data: Mapping[str, Any]) -> bool:
    """Whether a body asks for a format itself: then it is left alone."""
    return bool(_form(wire, data))


def own_schema(wire: Wire, body: bytes) -> Mapping[str, Any] | None:
    """What a task's body asks its answer to be, whoever wrote it: a JSON Schema, JSON mode's object, or None."""
    if b"json_schema" not in body and b"json_object" not in body:  # spares most bodies the parsing
        return None
    data = orjson.loads(body)
    form = _form(wire, data)
    return {"type": "object"} if form.get("type") == "json_object" else _schema_in(form)


def _form(wire: Wire, data: Mapping[str, Any]) -> Mapping[str, Any]:
    match wire:
        case Wire.MESSAGES:
            form = (data.get("output_config") or {}).get("format") or data.get("output_format")
        case Wire.RESPONSES:
            form = (data.get("text") or {}).get("format")
        case _:
            form = data.get("response_format")
    return form if isinstance(form, Mapping) else {}


def _schema_in(form: Mapping[str, Any]) -> Mapping[str, Any] | None:
    inner = form.get("json_schema", form)
    schema = inner.get("schema") if isinstance(inner, Mapping) else None
    return schema if isinstance(schema, Mapping) else None


def take_schema(wire: Wire, data: dict[str, Any]) -> Mapping[str, Any] | None:
    """The JSON Schema that a translated body asks for, taken out of it: another provider than its author had in mind
    may want it put otherwise. None when it asks for none."""
    schema = _schema_in(_form(wire, data))
    if schema is None:
        return None
    match wire:
        case Wire.MESSAGES:
            del data["output_config"]["format"]
        case Wire.RESPONSES:
            del data["text"]["format"]
        case _:
            del data["response_format"]
    return schema


def ask(wire: Wire, data: dict[str, Any], schema: Mapping[str, Any], mode: Mode) -> None:
    """Put the schema into a body of format ``wire``."""
    if mode in (Mode.OBJECT, Mode.PROMPT):
        _say(wire, data, in_words(schema))
    if mode is Mode.PROMPT:
        return
    strict = mode is Mode.WHOLE and strict_terms(schema)
    match wire:
        case Wire.MESSAGES:
            sent = plain_schema(schema) if mode is Mode.PLAIN else schema
            form: dict[str, Any] = {"type": "json_schema", "schema": sent}
            data["output_config"] = {**(data.get("output_config") or {}), "format": form}
        case Wire.RESPONSES:
            form = {"type": "json_schema", "name": "answer", "schema": dict(schema), "strict": strict}
            form = {"type": "json_object"} if mode is Mode.OBJECT else form
            data["text"] = {**(data.get("text") or {}), "format": form}
        case _:
            inner = {"name": "answer", "schema": dict(schema), "strict": strict}
            form = {"type": "json_schema", "json_schema": inner}
            data["response_format"] = {"type": "json_object"} if mode is Mode.OBJECT else form


def in_words(schema: Mapping[str, Any]) -> str:
    text = orjson.dumps(schema).decode()
    return (
        f"Answer with JSON and nothing else: no words around it, no Markdown. It must satisfy this JSON Schema:\n{text}"
    )


def _say(wire: Wire, data: dict[str, Any], words: str) -> None:
    """Into the system prompt, which is the same for all tasks of a type, so that prompt caches keep working."""
    if wire is Wire.MESSAGES:
        system = data.get("system")
        if isinstance(system, list):
            data["system"] = [*system, {"type": "text", "text": words}]
        else:
            data["system"] = f"{system}\n\n{words}" if system else words
        return
    name = "input" if wire is Wire.RESPONSES else "messages"
    given = data.get(name) or []
    turns = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    first = turns[0] if turns else {}
    if first.get("role") in ("system", "developer") and isinstance(first.get("content"), str):
        turns[0] = {**first, "content": f"{first['content']}\n\n{words}"}
    else:
        turns.insert(0, {"role": "system", "content": words})
    data[name] = turns


# what strict mode takes (OpenAI, "Structured outputs", supported schemas) -------------------------------------------
_STRICT = {
    "$ref", "$defs", "definitions", "title", "description", "type", "enum", "const", "anyOf", "properties", "required",
    "additionalProperties", "items", "minItems", "maxItems", "pattern", "format", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
}  # fmt: skip
_HARMLESS = {"$schema"}  # at the root


def strict_terms(schema: Mapping[str, Any]) -> bool:
    """Whether strict mode takes a schema: an object at the root, every object closed, every property required, and
    none but the keywords it knows."""
    if not _is_object(schema):
        return False
    root = {name: value for name, value in schema.items() if name not in _HARMLESS}
    return all(_strict(part) for part in _parts(root))


def _strict(part: Any) -> bool:
    if not isinstance(part, Mapping) or not set(part) <= _STRICT:
        return False
    if part.get("type") == "object" or "properties" in part:
        names = set(part.get("properties", ()))
        return part.get("additionalProperties") is False and set(part.get("required", ())) == names
    return True


def _parts(schema: Any) -> Iterator[Any]:
    """A schema and all schemas in it; names of properties are not taken for keywords."""
    yield schema
    if not isinstance(schema, Mapping):
        return
    for name in ("properties", "$defs", "definitions"):
        for inner in (schema.get(name) or {}).values():
            yield from _parts(inner)
    for inner in schema.get("anyOf") or ():
        yield from _parts(inner)
    if "items" in schema:
        yield from _parts(schema["items"])


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object"


# what Anthropic takes ("Structured outputs", limitations) -----------------------------------------------------------
_KEPT = {"$ref", "$defs", "definitions", "title", "description", "type", "enum", "const", "required"}
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
_SILENT = {"$schema", "$id", "$comment", "examples", "default", "additionalProperties", "properties", "items"}


def plain_schema(schema: Any) -> dict[str, Any] | None:
    """The schema with only what Anthropic's structured outputs take: objects closed, bounds and the like moved into
    descriptions, for the answer is checked against the whole schema anyway. None where that would ask for something
    else, as of an object with free names."""
    try:
        return _plain(schema)
    except _NotPlain:
        return None


class _NotPlain(Exception):
    pass


def _plain(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, Mapping) or schema.keys() & {"patternProperties", "prefixItems", "$dynamicRef"}:
        raise _NotPlain
    if isinstance(kinds := schema.get("type"), list):
        rest = {name: value for name, value in schema.items() if name not in ("type", "$defs", "definitions")}
        of_root = {name: schema[name] for name in ("$defs", "definitions") if name in schema}
        variants = [{**rest, "type": kind} if kind != "null" else {"type": "null"} for kind in kinds]
        return _plain({**of_root, "anyOf": variants})
    made = {name: value for name, value in schema.items() if name in _KEPT}
    left = {name: value for name, value in schema.items() if name not in _KEPT | _SILENT}
    for name in ("$defs", "definitions"):
        if name in made:
            made[name] = {own: _plain(inner) for own, inner in made[name].items()}
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(inner := left.pop(name, None), list):
            made["allOf" if name == "allOf" else "anyOf"] = [_plain(part) for part in inner]
    if schema.get("type") == "object" or "properties" in schema:
        _close(schema, made)
    if "items" in schema:
        made["items"] = _plain(schema["items"])
    if schema.get("format") in _FORMATS:
        made["format"] = left.pop("format")
    if schema.get("minItems") in (0, 1):
        made["minItems"] = left.pop("minItems")
    if not made.keys() & {"type", "$ref", "anyOf", "allOf", "enum", "const"}:
        raise _NotPlain
    if left:
        words = ", ".join(f"{name}: {orjson.dumps(value).decode()}" for name, value in left.items())
        made["description"] = f"{made.get('description', '')} ({words})".strip()
    return made


def _close(schema: Mapping[str, Any], made: dict[str, Any]) -> None:
    if not schema.get("properties") or isinstance(schema.get("additionalProperties"), Mapping):
        raise _NotPlain
    made["properties"] = {name: _plain(inner) for name, inner in schema["properties"].items()}
    made["additionalProperties"] = False


# what was learnt ----------------------------------------------------------------------------------------------------
_OF_SCHEMA = re.compile(
    r"schema|response_format|output_config|output_format|json_object|json mode|text\.format|structured.?output"
    r"|grammar|guided",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Asked:
    """A request ready to be sent. ``mode``: how it asks for ``schema``, None when that is not ours to say. ``native``:
    the provider takes JSON Schemas."""

    account: str
    model: str  # the provider's id
    wire: Wire
    data: dict[str, Any]
    schema: Mapping[str, Any] | None = None
    native: bool = True
    mode: Mode | None = None


class Learnt:
    """Which way to ask each account's model for each schema. A way that is refused is not tried again."""

    def __init__(self) -> None:
        self._refused: dict[tuple[str, str, Wire, bytes], int] = {}  # how many ways were

    def ask(self, asked: Asked) -> Asked:
        """Put the schema into the request, in the strongest way that was not refused yet."""
        assert asked.schema is not None, "there is a schema to ask for"
        ways = modes(asked.wire, asked.schema, native=asked.native)
        mode = ways[self._refused.get(_key(asked), 0) if self._refused else 0]
        ask(asked.wire, asked.data, asked.schema, mode)
        return replace(asked, mode=mode)

    def refused(self, asked: Asked, failure: Failure) -> bool:
        """Whether a request failed because of how it asked for its schema, and there is a weaker way. Says so once."""
        if failure.status not in (400, 422) or not _OF_SCHEMA.search(f"{failure.code} {failure.message}"):
            return False
        if asked.schema is None or asked.mode is None:
            return False
        ways = modes(asked.wire, asked.schema, native=asked.native)
        at = ways.index(asked.mode) + 1
        if at >= len(ways):
            return False
        if self._refused.get(_key(asked), 0) < at:  # of many calls in flight the first one learns it
            self._refused[_key(asked)] = at
            log.warning(
                "%s refuses %s: %s; from now on it is sent %s",
                asked.model,
                asked.mode,
                Quoted(failure.message),
                ways[at],
            )
        return True


def _key(asked: Asked) -> tuple[str, str, Wire, bytes]:
    return asked.account, asked.model, asked.wire, orjson.dumps(asked.schema)
