"""The shape of ``laneway.toml``. Unknown names are errors: a misspelt limit must not be silently no limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from laneway.task import Urgency

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: object) -> float:
    """Seconds from ``"250ms"``, ``"10s"``, ``"1m"``, ``"2h"``, ``"30d"`` or a number of seconds. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*", str(value))
        if match is None:
            raise ValueError(f'{value!r} is not a duration: write "250ms", "10s", "1m", "2h" or "30d"')
        seconds = float(match[1]) * _UNITS[match[2] or "s"]
    if seconds < 0:
        raise ValueError("a duration cannot be negative")
    return seconds


def _no_switch(value: object) -> object:
    """``concurrency = true`` would otherwise be read as 1."""
    if isinstance(value, bool):
        raise ValueError("this is a number, not true or false")  # noqa: TRY004 - pydantic takes no TypeError
    return value


def _variable_name(value: object) -> object:
    """Somebody who puts the key itself here is told so, without the key being shown."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value) is None:
        raise ValueError(
            "this is no name of an environment variable; if it is the key itself, take it out of the file,"
            " put it into a variable and write that variable's name here"
        )
    return value


def _address(value: object) -> object:
    """A password in an address would be shown wherever the address is."""
    if isinstance(value, str) and "@" in value.partition("://")[2].partition("/")[0]:
        raise ValueError(
            "an address with a user name or password in it is not used;"
            " put the key into a variable and write that variable's name under api_key_env"
        )
    return value


def _headers(value: object) -> object:
    """A false host would send the key to whoever that host is."""
    if isinstance(value, dict) and any(str(name).strip().casefold() == "host" for name in value):
        raise ValueError("the header Host is not set by hand; base_url says where calls go")
    return value


def parse_urgency(value: object) -> Urgency:
    """``"urgent"`` → Urgency.URGENT. Raises ValueError naming the four words."""
    if isinstance(value, Urgency):
        return value
    try:
        return Urgency[str(value).strip().upper()]
    except KeyError:
        raise ValueError(f"{value!r} is not an urgency: {', '.join(u.label for u in Urgency)}") from None


Duration = Annotated[float, BeforeValidator(parse_duration)]
TimeLimit = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
UrgencyName = Annotated[Urgency, BeforeValidator(parse_urgency)]
Rate = Annotated[float, BeforeValidator(_no_switch), Field(gt=0)]
Price = Annotated[float, BeforeValidator(_no_switch), Field(ge=0)]  # USD per million tokens
DayBudget = Annotated[float, BeforeValidator(_no_switch), Field(ge=0)]  # USD a day (UTC)
Count = Annotated[int, BeforeValidator(_no_switch), Field(ge=1)]
Address = Annotated[str, BeforeValidator(_address)]
VariableName = Annotated[str, BeforeValidator(_variable_name)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AccountConfig(Section):
    """One pool of limits: a key at an endpoint. Every limit is optional."""

    provider: str = "openai"
    base_url: Address | None = None  # default: the preset's, or its *_BASE_URL variable
    api_key_env: VariableName | None = None  # default: the preset's
    api_key_file: Path | None = None
    headers: Annotated[dict[str, str], BeforeValidator(_headers)] = Field(default_factory=dict)
    requests_per_second: Rate | None = None
    requests_per_minute: Rate | None = None
    input_tokens_per_minute: Rate | None = None
    output_tokens_per_minute: Rate | None = None
    tokens_per_minute: Rate | None = None
    requests_per_day: Rate | None = None
    concurrency: Count | None = None
    budget_per_day: DayBudget | None = None  # when it is used up, the account is not called until the next day
    weight: Rate = 1.0  # its part of a model's calls, against the model's other accounts
    responses: bool | None = None  # whether it has /responses; default: by provider


class ModelConfig(Section):
    """A name for a provider's model. Prices override the built-in ones."""

    account: str | None = None
    accounts: list[str] = Field(default_factory=list)
    id: str
    input_price: Price | None = None
    output_price: Price | None = None
    cached_price: Price | None = None  # of input read from the provider's cache; default: the input price
    cache_write_price: Price | None = None  # of input written to it; default: the input price
    params: dict[str, Any] = Field(default_factory=dict)  # laid under every request's own parameters
    timeout: TimeLimit = 120.0  # for one call at most; what is usual shortens it
    context_window: Count | None = None  # tokens
    inputs: list[Literal["text", "image", "pdf"]] | None = None  # what it takes; default: by provider

    @model_validator(mode="after")
    def _one_spelling(self) -> ModelConfig:
        if bool(self.account) == bool(self.accounts):
            raise ValueError('give either account = "name" or accounts = ["name", …]')
        return self

    @property
    def account_names(self) -> tuple[str, ...]:
        return (self.account,) if self.account else tuple(self.accounts)


class LaneConfig(Section):
    concurrency: Count | None = None
    weight: Rate = 1.0
    budget_per_day: DayBudget | None = None


class CheckConfig(Section):
    """One thing more that is asked of an answer: exactly one of ``pattern``, ``schema``, ``function``."""

    pattern: str | None = None  # a regular expression that must be found in the answer's text
    schema_: Path | None = Field(default=None, alias="schema")  # JSON Schema of the answer
    function: str | None = None  # "module:function", called with the answer; raises or returns what is wrong, or None
    message: str | None = None  # what the model is told instead of the check's own words

    @model_validator(mode="after")
    def _one_kind(self) -> CheckConfig:
        if sum(kind is not None for kind in (self.pattern, self.schema_, self.function)) != 1:
            raise ValueError('give one of pattern = "…", schema = "file.json", function = "module:function"')
        return self


PYTHON_TOO = {"budget_per_day", "time_limit"}  # settings of a type that a Python task may have


class TypeConfig(Section):
    """A prompt task: templates over a record's fields, and what is asked of the answer."""

    system: Path | None = None
    prompt: Path | None = None
    output: Path | None = None  # a JSON Schema's file; or "module:Model", a pydantic model
    checks: list[CheckConfig] = Field(default_factory=list)
    max_output_tokens: Count | None = None
    max_attempts: Count | None = None  # calls for a task in all, on whichever models of its route
    timeout: TimeLimit | None = None  # for one call at most; what is usual shortens it
    time_limit: TimeLimit | None = None  # for a task in all, from its first call's start over all retries
    key: str | None = None  # the record's field that identifies it; default: custom_id, id or key where present
    lane: str | None = None
    model: str | None = None
    fallbacks: list[str] | None = None
    urgency: str | None = None  # a name or an alias
    dedupe_for: Duration | None = None  # the same key within this time, in any run, is the earlier task
    budget_per_day: DayBudget | None = None
    escalate: bool | None = None  # weak answers go on to the next model; default: where [triage] has answers


class UrgencyConfig(Section):
    target_wait: Duration | None = None
    aliases: list[str] = Field(default_factory=list)


class RetryConfig(Section):
    delays: list[Duration] = Field(default_factory=list)  # empty: exponential with full jitter
    max_attempts: Count = 6
    time_limit: TimeLimit | None = None  # for a task of a type that has none of its own


class RuleConfig(Section):
    """Fills what earlier rules left open, where ``when`` (or ``function``) says so."""

    name: str | None = None
    when: dict[str, Any] = Field(default_factory=dict)
    function: str | None = None  # "module:function", called with the patient; returns what to fill, or None
    lane: str | None = None
    model: str | None = None
    urgency: str | None = None
    fallbacks: list[str] | None = None
    urgency_up_to: str | None = None  # how far a text alone may raise it; else by one class, and not to immediate
    category: str | None = None
    complexity: Literal["low", "medium", "high"] | None = None


class DefaultsConfig(Section):
    model: str | None = None
    fallbacks: list[str] | None = None
    lane: str = "general"
    urgency: str = "standard"
    type: str | None = None


def _labels(value: object) -> object:
    """A list of labels is a table without descriptions."""
    if isinstance(value, Mapping):
        return {name: dict.fromkeys(map(str, own), "") if isinstance(own, list) else own for name, own in value.items()}
    return value


class ClassifierConfig(Section):
    """A cheap model that is asked about tasks of which rules and examples leave something open."""

    model: str
    lane: str = "triage"  # its own: concurrency and weight there are its share of the account
    fields: Annotated[dict[Literal["category", "complexity", "urgency"], dict[str, str]], BeforeValidator(_labels)]
    tasks_per_call: Annotated[int, BeforeValidator(_no_switch), Field(ge=1, le=50)] = 10
    timeout: TimeLimit = 20.0  # after which a task goes on with its safe route
    text_chars: Annotated[int, BeforeValidator(_no_switch), Field(ge=100, le=20_000)] = 1600  # shown of each text
    instructions: Path | None = None  # a text file, put behind the question


class TriageConfig(Section):
    """What triage has learnt: files that `laneway triage train` wrote."""

    category: Path | None = None  # what a text is about …
    urgency: Path | None = None  # … how soon it is needed …
    complexity: Path | None = None  # … and how much it asks of a model
    model: Path | None = None  # which model will do
    quality_floor: Annotated[float, BeforeValidator(_no_switch), Field(gt=0, le=1)] = 0.98  # of the strongest's quality
    answers: Path | None = None  # which answers are probably good enough
    classifier: ClassifierConfig | None = None

    @property
    def reads_texts(self) -> bool:
        """Whether a model file judges tasks by their texts."""
        return any((self.category, self.urgency, self.complexity, self.model))


class FlowsConfig(Section):
    """Bounds on flows."""

    open: Annotated[int, BeforeValidator(_no_switch), Field(ge=1)] = 1000  # begun and not ended, in the whole fleet
    in_memory: Annotated[int, BeforeValidator(_no_switch), Field(ge=0)] = 2000  # that wait, by worker; others replay


class ServerConfig(Section):
    """Bounds on what the service takes and shows; see `laneway serve`."""

    max_queue: Count = 1_000_000  # tasks that have not ended; beyond it requests are refused until some have
    requests_per_minute: Rate | None = None  # of one token at one server
    session: TimeLimit = 43_200.0  # for which a browser stays logged in
    keep_audit: TimeLimit = 34_560_000.0  # 400 days: how long it is known what was changed through the service
    hide_content: bool = False  # show no prompts and answers on pages and in lists; who asked still gets the answer
    webhook_secret_env: VariableName = "LANEWAY_WEBHOOK_SECRET"  # noqa: S105 - a variable's name; several: all sign
    webhook_hosts: list[str] = Field(default_factory=list)  # names, addresses, networks told although not public
    webhook_content: bool = False  # send answers and words of errors along


class TelemetryConfig(Section):
    """Traces; where they go is said by OpenTelemetry's own variables (``OTEL_…``)."""

    content: bool = False  # prompts and answers too; never with hide_content


class Config(Section):
    """All settings. ``folder`` is where relative paths in it start; ``origin`` says which file or variable each value
    came from (``"accounts.main.concurrency"`` → ``"laneway.toml"``), without those that have their default."""

    app: str | None = None
    keep: TimeLimit | None = None  # how long content (prompts, answers) is kept after a task has ended
    budget_per_day: DayBudget | None = None  # for everything together
    hide_content: bool = False  # show no prompts and answers in commands, errors and logs
    accounts: dict[str, AccountConfig] = Field(default_factory=dict)
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    lanes: dict[str, LaneConfig] = Field(default_factory=dict)
    types: dict[str, TypeConfig] = Field(default_factory=dict)
    urgency: dict[str, UrgencyConfig] = Field(default_factory=dict)
    retry: RetryConfig = Field(default_factory=RetryConfig)
    rules: list[RuleConfig] = Field(default_factory=list)
    defaults: DefaultsConfig = Field(default_factory=DefaultsConfig)
    triage: TriageConfig = Field(default_factory=TriageConfig)
    flows: FlowsConfig = Field(default_factory=FlowsConfig)
    server: ServerConfig = Field(default_factory=ServerConfig)
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)
    folder: Path = Field(default=Path(), exclude=True)
    sources: tuple[Path, ...] = Field(default=(), exclude=True)
    origin: Mapping[str, str] = Field(default_factory=dict, exclude=True)

    @property
    def hides_on_pages(self) -> bool:
        """Whether the service's pages and lists show neither prompts nor answers."""
        return self.hide_content or self.server.hide_content

    @property
    def prompt_types(self) -> dict[str, TypeConfig]:
        """Without those that only set what a Python task may have as well."""
        return {
            name: kind
            for name, kind in self.types.items()
            if not kind.model_fields_set or kind.model_fields_set - PYTHON_TOO
        }

    def lane(self, name: str) -> LaneConfig:
        """The lane's settings; a lane that is only named has the defaults."""
        return self.lanes.get(name, LaneConfig())

    def escalates(self, type_name: str) -> bool:
        """Whether weak answers to tasks of this type go on to the next model of their route."""
        own = self.types.get(type_name)
        return self.triage.answers is not None and (own is None or own.escalate is not False)

    def target_wait(self, urgency: Urgency) -> float:
        """Seconds that a task of this urgency may wait."""
        own = self.urgency.get(urgency.label)
        return own.target_wait if own and own.target_wait is not None else DEFAULT_TARGET_WAIT[urgency]

    def urgency_of(self, word: str) -> Urgency:
        """An urgency by its name or one of its aliases, any case. Raises ValueError."""
        wanted = word.strip().casefold()
        for name, own in self.urgency.items():
            if wanted in (alias.casefold() for alias in own.aliases):
                return parse_urgency(name)
        return parse_urgency(wanted)


DEFAULT_TARGET_WAIT = {
    Urgency.IMMEDIATE: 0.0,
    Urgency.URGENT: 60.0,
    Urgency.STANDARD: 600.0,
    Urgency.RELAXED: 4 * 3600.0,
}
