"""What the rest of Laneway knows of a provider: accounts, models, and the reply to a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from laneway.task import Failure, Usage, Wire

if TYPE_CHECKING:
    from laneway.store.flows import Suspension

LimitKind = Literal["requests", "tokens", "input_tokens", "output_tokens"]


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's limits. None: not known."""

    requests_per_second: float | None = None
    requests_per_minute: float | None = None
    input_tokens_per_minute: float | None = None
    output_tokens_per_minute: float | None = None
    tokens_per_minute: float | None = None
    requests_per_day: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """One pool of limits: an API key at an endpoint."""

    name: str
    provider: str  # the preset's name
    wire: Wire  # whose family of formats: CHAT for OpenAI's, MESSAGES for Anthropic's
    base_url: str  # includes /v1 as the provider's SDK has it
    key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    limits: Limits = Limits()
    charges_max_tokens: bool = False  # the tokens/minute limit counts what was allowed, not what was written
    counts_cached: bool = True  # input read from the prompt cache counts for the limits
    responses: bool = False  # it has /responses
    weight: float = 1.0  # its part of a model's calls, against the model's other accounts

    def counted(self, usage: Usage) -> Usage:
        """What of a call's usage the provider counts for its limits."""
        if self.counts_cached or not usage.cached_tokens:
            return usage
        return Usage(usage.input_tokens - usage.cached_tokens, usage.output_tokens)


@dataclass(frozen=True, slots=True)
class Model:
    """A configured model. Prices in USD per million tokens; None: not known (never 0)."""

    name: str
    id: str
    accounts: tuple[Account, ...]
    input_price: float | None = None
    output_price: float | None = None
    cached_price: float | None = None  # of input read from the cache; None: the input price
    cache_write_price: float | None = None  # of input written to it; None: the input price
    params: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 120.0
    context_window: int | None = None

    def cost(self, usage: Usage) -> float | None:
        """USD for one call's tokens, None where a price is unknown."""
        if self.input_price is None or (self.output_price is None and usage.output_tokens):
            return None
        cached = self.input_price if self.cached_price is None else self.cached_price
        written = self.input_price if self.cache_write_price is None else self.cache_write_price
        fresh = usage.input_tokens - usage.cached_tokens - usage.written_tokens
        paid_for_input = fresh * self.input_price + usage.cached_tokens * cached + usage.written_tokens * written
        return (paid_for_input + usage.output_tokens * (self.output_price or 0.0)) / 1e6


class Observed(NamedTuple):
    """What a reply's headers said of one limit."""

    kind: LimitKind
    limit: float | None  # in a full window
    remaining: float | None
    reset: float | None  # seconds until the window is full again
    window: float = 60.0  # seconds that ``limit`` covers (86,400: per day)
    slack: float = 0.0  # by which ``remaining`` may be off, rounded as it is


@dataclass(slots=True)
class Reply:
    """The end of one call: an ``output`` in the task's own wire format, or a ``failure``; both never."""

    output: bytes | None
    usage: Usage | None
    failure: Failure | None
    latency: float  # seconds
    observed: tuple[Observed, ...] = ()
    request_id: str | None = None
    answer: str = ""  # what the model said, where it could not be used
    weak: str | None = None  # what speaks against the output, where a stronger model may be asked
    heard: bool = True  # of the provider; False: it was not asked, or we broke off for reasons of our own
    sent: bool = True  # False: no connection came about, so the provider knows nothing of the call
    told: bool = False  # somebody has read the beginning of what failed: no other answer may take its place
    flow: Suspension | None = None  # what a step of a flow leaves behind
