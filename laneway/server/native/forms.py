"""What clients send."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from laneway.server.native.bounds import (
    MOST_BULK,
    Content,
    Fields,
    Key,
    Moment,
    Name,
    Note,
    Number,
    Seconds,
    Text,
)
from laneway.task import FailureClass, State

Format = Literal["chat", "responses", "messages", "embeddings"]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewTaskForm(Form):
    """One of `type` (of the config, or a function of the app, with its `fields`), `prompt` and `body`."""

    type: Name | None = None
    fields: Fields | None = None
    prompt: Annotated[Text, Field(min_length=1)] | None = None
    system: Text | None = None
    body: Fields | None = None
    format: Format = "chat"
    key: Key | None = None
    urgency: Name | None = None
    lane: Name | None = None
    model: Name | None = None
    deadline: Moment | None = None
    delay_s: Seconds | None = None
    at: Moment | None = None
    tags: Annotated[list[Name], Field(max_length=50)] = []
    webhook: Annotated[Text, Field(max_length=2_000)] | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if sum(one is not None for one in (self.type, self.prompt, self.body)) != 1:
            raise ValueError("give one of type, prompt and body")
        if self.fields is not None and self.type is None:
            raise ValueError("fields go with a type")
        if self.system is not None and self.prompt is None:
            raise ValueError("system goes with a prompt; a type has its own, and a body holds it")
        if self.at is not None and self.delay_s is not None:
            raise ValueError("a task has either at or delay_s")
        return self

    def traced(self, tags: tuple[str, ...]) -> Self:
        """``tags``: what has the request's trace go with the task."""
        return self.model_copy(update={"tags": [*self.tags, *tags]}) if tags else self


class BulkForm(Form):
    tasks: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_BULK)]


class FilterForm(Form):
    """All that is given must hold; of several values for one, any."""

    ids: Annotated[list[Number], Field(max_length=MOST_BULK)] | None = None
    run: Number | None = None
    state: Annotated[list[State], Field(max_length=10)] = []
    class_: Annotated[list[FailureClass], Field(max_length=10, alias="class")] = []
    code: Annotated[list[Name], Field(max_length=50)] = []
    type: Annotated[list[Name], Field(max_length=50)] = []
    model: Annotated[list[Name], Field(max_length=50)] = []
    lane: Annotated[list[Name], Field(max_length=50)] = []
    urgency: Annotated[list[Name], Field(max_length=10)] = []
    tag: Annotated[list[Name], Field(max_length=50)] = []
    key: Annotated[list[Key], Field(max_length=50)] = []


class ChangeForm(Form):
    """What is set of tasks that have not ended."""

    urgency: Name | None = None
    lane: Name | None = None
    model: Name | None = None
    deadline: Moment | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(one is not None for one in (self.urgency, self.lane, self.model, self.deadline)):
            raise ValueError("give urgency, lane, model or deadline")
        return self


class SelectForm(Form):
    filter: FilterForm
    verb: Literal["cancel", "retry", "set"]
    change: ChangeForm | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.verb == "set") != (self.change is not None):
            raise ValueError("change goes with the verb set")
        return self


Concurrency = Annotated[int, Field(ge=1, le=10_000)]
Weight = Annotated[float, Field(ge=0.001, le=1_000)]
Rate = Annotated[float, Field(ge=0.001, le=1e12)]


class LimitsForm(Form):
    """Only what is given is changed; `null` gives the config's back."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give a limit; null gives the config's back")
        return self

    @property
    def changes(self) -> dict[str, float | None]:
        return {name: getattr(self, name) for name in self.model_fields_set}


class LaneLimitsForm(LimitsForm):
    concurrency: Concurrency | None = None
    weight: Weight | None = None


class AccountLimitsForm(LimitsForm):
    """Nothing can be raised above what the config states: that is what the provider permits."""

    concurrency: Concurrency | None = None
    weight: Weight | None = None
    requests_per_second: Rate | None = None
    requests_per_minute: Rate | None = None
    input_tokens_per_minute: Rate | None = None
    output_tokens_per_minute: Rate | None = None
    tokens_per_minute: Rate | None = None


class FeedbackForm(Form):
    """`good` or `bad`, or a label, with `field` saying of what."""

    word: Name
    field: Literal["quality", "category", "urgency", "complexity"] | None = None
    note: Note | None = None


class EventForm(Form):
    name: Name
    data: Content = None
