"""What flows begin, as tasks: Python functions, prompt types, and calls of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson

from laneway.app.due import due_at
from laneway.app.options import Options as Submission
from laneway.app.python.inner_calls import DEFAULT_OUTPUT_TOKENS
from laneway.app.python.tasks import TaskFunction
from laneway.errors import UsageError
from laneway.flows.live import PLAIN, Decode, Live, Options
from laneway.providers.answers.validate import Answers
from laneway.task import FLOW, NEW_FLOW, Claimed, NewTask, Spec, Wire

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.python.wanted import Wanted

BEFORE_S = 0.001  # by which children are due before their flow: what is begun goes before what is not
ANSWERS = Answers()  # one validator a schema


@dataclass(frozen=True, slots=True)
class ModelCall:
    """``lw.call`` inside a flow."""

    model: str
    messages: Sequence[Mapping[str, Any]]
    wanted: Wanted | WholeAnswer
    params: Mapping[str, Any]


class WholeAnswer:
    """What is wanted of a call whose answer is read by somebody else."""

    schema: Mapping[str, Any] | None = None

    def read(self, output: bytes) -> Any:
        return orjson.loads(output)


class Children:
    """Prepares the children of one flow. They take over its urgency, deadline, tags and team."""

    def __init__(self, lw: Laneway, flow: Claimed) -> None:
        self._lw = lw
        self._flow = flow
        self._alike: dict[str, Callable[..., NewTask]] = {}  # by function: calls that differ in nothing but arguments

    def __call__(
        self, live: Live, task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options
    ) -> tuple[NewTask, Decode]:
        flow = self._flow
        deadline = flow.deadline if options.deadline is None else options.deadline
        submission = Submission(
            urgency=options.urgency or flow.urgency.label,
            lane=options.lane,
            model=options.model,
            deadline=deadline,
            tags=(*flow.tags, *options.tags),
            team=flow.team,
        )
        if isinstance(task, ModelCall):
            new = self._call(task, submission)
            decode: Decode = task.wanted.read
        elif isinstance(task, TaskFunction) and not kwargs and options is PLAIN:
            if task.name not in self._alike:  # triage sees of a call's arguments those that are named
                self._alike[task.name] = self._lw.preparing.caller(task, {}, submission)
            new, decode = self._alike[task.name](body=task.encode(args, {})), task.decode_result
        else:
            prepared = self._lw.preparing.prepare(task, args, kwargs, submission)
            new, decode = prepared.task, prepared.decode
        new.parent = flow.id
        if new.route.model == NEW_FLOW:
            new.route = new.route._replace(model=FLOW)  # nested: what has begun is not held
        if new.route.urgency is flow.urgency and options.deadline is None:
            new.due_at = flow.due_at - BEFORE_S
        return new, decode

    def _call(self, call: ModelCall, submission: Submission) -> NewTask:
        from laneway.app.python.auto import AUTO, patient_of
        from laneway.providers.translate import Refusals
        from laneway.triage.tokens import estimate_body

        flow, now = self._flow, self._lw.clock.now()
        body = {"messages": list(call.messages), **call.params}
        rendered = orjson.dumps(body)
        allowed = call.params.get("max_tokens") or call.params.get("max_completion_tokens") or DEFAULT_OUTPUT_TOKENS
        sizes = (estimate_body(Wire.CHAT, body), int(allowed))
        patient = patient_of(f"{flow.spec.type}.call", call.messages, sizes, flow.lane, flow.urgency, flow.key)
        patient.refused_by = Refusals(Wire.CHAT, rendered)
        if call.model != AUTO:
            self._lw.catalog.model(call.model)
            patient = replace(patient, pins=replace(patient.pins, model=call.model))
        route = self._lw.triage.assess(patient)
        spec = Spec(patient.type, Wire.CHAT, output_schema=call.wanted.schema)
        target = self._lw.config.target_wait(route.urgency)
        return NewTask(
            rendered,
            spec,
            route,
            due_at(now, target, submission.deadline, *sizes),
            input_tokens=sizes[0],
            output_tokens=sizes[1],
            deadline=submission.deadline,
            tags=submission.tags,
            team=submission.team,
        )


def model_call(
    model: str, messages: Sequence[Mapping[str, Any]] | str, output: Any, check: Any, params: Any
) -> ModelCall:
    """Raises UsageError for a check: it is code, which a task of its own cannot carry."""
    from laneway.app.python.wanted import Wanted

    if check is not None:
        raise UsageError(
            "lw.call(…, check=…) was used in a flow, where a call is a task of its own",
            hint="call it in a function decorated with @lw.task, and call that in the flow",
        )
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return ModelCall(model, messages, Wanted(ANSWERS, output, None), params)
