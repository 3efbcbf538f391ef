"""What is to be done, counted while the input is read: tasks that go the same way are one line."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from laneway.task import NewTask, Urgency, Wire
from laneway.triage.tokens import estimate

CACHED_FROM = 1024  # input tokens from which caches work by themselves (OpenAI, "Prompt caching")
# a request's own bound on its answer, as it stands in its body (inside a text the quotes would be escaped)
_BOUNDS = (b'"max_tokens":', b'"max_completion_tokens":', b'"max_output_tokens":')


@dataclass(frozen=True, slots=True)
class Way:
    """Where tasks go, and what is alike in them."""

    lane: str
    urgency: Urgency
    model: str
    fallbacks: tuple[str, ...]
    type: str
    bounded: bool  # the requests say how long their answers may be
    structured: bool  # the answers are checked, and asked for again where they are wrong


@dataclass(slots=True)
class Amount:
    """Sums over tasks. Tokens as estimated at intake."""

    tasks: int = 0
    input_tokens: int = 0
    output_tokens: int = 0  # the most they may write; where nothing bounds them, what is reserved for them
    long_tokens: int = 0  # input of the requests that a provider's prompt cache takes
    schema_tokens: int = 0  # of the JSON Schemas that go along, which intake does not count


class Demand:
    def __init__(self) -> None:
        self.ways: dict[Way, Amount] = {}
        self._schemas: dict[int, tuple[object, int]] = {}

    def add(self, task: NewTask) -> None:
        route, spec = task.route, task.spec
        way = Way(
            route.lane,
            route.urgency,
            route.model,
            route.fallbacks,
            spec.type,
            spec.wire is Wire.EMBEDDINGS or any(bound in task.body for bound in _BOUNDS),
            spec.output_schema is not None or bool(spec.checks),
        )
        amount = self.ways.get(way)
        if amount is None:
            amount = self.ways[way] = Amount()
        amount.tasks += 1
        amount.input_tokens += task.input_tokens
        amount.output_tokens += task.output_tokens
        amount.long_tokens += task.input_tokens if task.input_tokens >= CACHED_FROM else 0
        if spec.output_schema is not None:
            amount.schema_tokens += self._schema_tokens(spec.output_schema)

    @property
    def tasks(self) -> int:
        return sum(amount.tasks for amount in self.ways.values())

    def _schema_tokens(self, schema: object) -> int:
        known = self._schemas.get(id(schema))
        if known is None:
            known = self._schemas[id(schema)] = (schema, estimate(orjson.dumps(schema).decode()))
        return known[1]
