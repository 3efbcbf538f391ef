"""From a call to a task: arguments validated or prompts rendered, then routed. Nothing is stored here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.app.due import due_at
from laneway.app.options import Options
from laneway.app.python.tasks import PythonTasks, TaskFunction
from laneway.errors import ConfigError
from laneway.task import NEW_FLOW, NewTask, Route, Spec, Task, Urgency, Wire

if TYPE_CHECKING:
    from laneway.app.inquiries import Inquiries
    from laneway.clock import Clock
    from laneway.config.models import Config
    from laneway.intake.prompts import PromptType, Rendered
    from laneway.store.interface import Store
    from laneway.store.runs import Run, Submitted
    from laneway.triage.patient import Patient
    from laneway.triage.pipeline import Triage

Decode = Callable[[bytes], Any]  # from a task's output to what ``job.result()`` returns


class Prepared(NamedTuple):
    """A task, and how its result is read. ``patient``: where the classifier is to be asked about it."""

    task: NewTask
    decode: Decode
    patient: Patient | None = None


class Preparing:
    def __init__(
        self, config: Config, triage: Triage, python: PythonTasks, clock: Clock, inquiries: Inquiries | None = None
    ) -> None:
        self._inquiries = inquiries
        self._config, self._triage, self._python, self._clock = config, triage, python, clock
        self._specs: dict[str, Spec] = {}
        self._prompts: dict[str, PromptType] = {}

    def prepare(self, task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options) -> Prepared:
        if self._is_prompt(task):
            return self._prompt_tasks(task, [dict(kwargs) if kwargs or not args else args[0]], options)[0]
        function = self._function(task)
        new = self.caller(function, kwargs, options)
        return Prepared(new(body=function.encode(args, kwargs)), function.decode_result)

    def prepare_many(self, task: Any, items: Sequence[Any], options: Options) -> list[Prepared]:
        """A task for each item, its only argument."""
        if self._is_prompt(task):
            return self._prompt_tasks(task, items, options)
        function = self._function(task)
        new, decode = self.caller(function, {}, options), function.decode_result
        return [Prepared(new(body=function.encode((item,), {})), decode) for item in items]

    async def submit(self, store: Store, run: Run, prepared: Sequence[Prepared], now: float) -> Submitted:
        """Into the store, with questions to the classifier where something is left open."""
        if self._inquiries is None or not any(one.patient for one in prepared):
            return await store.submit(run, [one.task for one in prepared], now)
        from laneway.app.inquiries import Asked

        return await self._inquiries.submit(store, run, [Asked(one.task, one.patient) for one in prepared], now)

    def _is_prompt(self, task: Any) -> bool:
        return isinstance(task, str) and task in self._config.prompt_types

    def _function(self, task: Any) -> TaskFunction[..., Any]:
        return self._python.find(task if isinstance(task, str) else getattr(task, "name", None) or repr(task))

    def caller(
        self, function: TaskFunction[..., Any], kwargs: Mapping[str, Any], options: Options
    ) -> Callable[..., NewTask]:
        """Makes tasks of bodies. Triage sees of a call's arguments those that are named, and so all alike."""
        from laneway.triage.patient import Patient, Pins

        urgency = options.urgency or function.urgency
        patient = Patient(
            type=function.name,
            text="",
            input_tokens=0,
            pins=Pins(options.lane or function.lane, self._triage.urgency_of(urgency) if urgency else None, None),
            tags=options.tags,
            fields=kwargs,
            needs_model=False,
            key=options.key,
            team=options.team,
        )
        return self._routed(patient, self.spec(function), options, self._clock.now())

    def spec(self, function: TaskFunction[..., Any]) -> Spec:
        """What a worker must know of its calls. Raises ConfigError."""
        spec = self._specs.get(function.name)
        if spec is None:
            self._refuse_checks_of_python(function.name)
            attempts = function.max_attempts or 1
            own = self._config.types.get(function.name)
            limit = function.time_limit or (own and own.time_limit) or self._config.retry.time_limit
            spec = Spec(function.name, Wire.PYTHON, attempts, timeout=function.timeout, time_limit=limit)
            self._specs[function.name] = spec
        return spec

    def called(self, patient: Patient) -> Patient:
        """A function's call as triage sees it: what its decorator says is pinned, where nothing else was."""
        function, pins = self._python.find(patient.type), patient.pins
        urgency = pins.urgency
        if urgency is None and function.urgency:
            urgency = self._triage.urgency_of(function.urgency)
        pins = replace(pins, lane=pins.lane or function.lane, urgency=urgency, model=None)
        return replace(patient, pins=pins, needs_model=False)

    def queued(self, spec: Spec, route: Route) -> Route:
        """Flows wait for their beginning in cells of their own."""
        return route._replace(model=NEW_FLOW) if self._python.find(spec.type).is_flow else route

    def _routed(self, patient: Patient, spec: Spec, options: Options, now: float) -> Callable[..., NewTask]:
        """All of a task but its ``body``."""
        route = self._triage.assess(patient)
        if spec.wire is Wire.PYTHON:
            route = self.queued(spec, route)
        wake_at = options.wake_at(now)
        target_wait = self._config.target_wait(route.urgency)
        size = patient.input_tokens, patient.output_tokens
        return partial(
            NewTask,
            spec=spec,
            route=route,
            due_at=due_at(wake_at or now, target_wait, options.deadline, *size),
            key=options.key,
            input_tokens=patient.input_tokens,
            output_tokens=patient.output_tokens,
            deadline=options.deadline,
            wake_at=wake_at,
            dedupe_for=self.dedupe_for(spec),
            tags=options.tags,
            team=options.team,
        )

    def dedupe_for(self, spec: Spec) -> float | None:
        """Seconds in which the same key is the same task."""
        if spec.type in self._config.prompt_types:
            return self._config.types[spec.type].dedupe_for
        return self._python.find(spec.type).dedupe_for if spec.wire is Wire.PYTHON else None

    def _prompt_tasks(self, name: str, records: Sequence[Mapping[str, Any]], options: Options) -> list[Prepared]:
        """A task for each record; model files are asked about all at once."""
        import orjson

        from laneway.providers.answers.checks import needs_code

        prompt, now = self._prompt(name), self._clock.now()
        urgency = self._triage.urgency_of(options.urgency) if options.urgency else None
        rendered = [prompt.render(record) for record in records]
        patients = [
            _prompted(name, record, one, urgency, options) for record, one in zip(records, rendered, strict=True)
        ]
        self._triage.examine(patients)
        prepared = []
        for record, one, patient in zip(records, rendered, patients, strict=True):
            new = self._routed(patient, prompt.spec, options, now)(body=one.body)
            if needs_code(prompt.spec.checks):  # its checks may look at the record
                new = replace(new, record=orjson.dumps(record, default=str))
            asks = self._inquiries is not None and self._inquiries.open(patient, new.route)
            prepared.append(Prepared(new, prompt.asked.decode, patient if asks else None))
        return prepared

    def _refuse_checks_of_python(self, name: str) -> None:
        settings = self._config.types.get(name)
        if settings is not None and (settings.output or settings.checks):
            raise ConfigError(
                f"{name} is a Python task: output and checks under [types.{name}] do not apply to it",
                hint="check what it returns in its own code, or use lw.call(…, output=Model, check=function)",
            )

    def value(self, task: Task, output: bytes) -> Any:
        """What ``job.result()`` returns for a task that succeeded with this output."""
        if task.wire is Wire.PYTHON:
            return self._python.find(task.type).decode_result(output)
        if task.type in self._config.prompt_types:
            return self._prompt(task.type).asked.decode(output, task.wire)
        from laneway.providers.chat import answer_text

        return answer_text(task.wire, output)

    def _prompt(self, name: str) -> PromptType:
        if name not in self._prompts:
            from laneway.intake.prompts import PromptType

            self._prompts[name] = PromptType(self._config, name)
        return self._prompts[name]


def _prompted(
    type_name: str, record: Mapping[str, Any], rendered: Rendered, urgency: Urgency | None, options: Options
) -> Patient:
    from laneway.triage.patient import Patient, Pins

    return Patient(
        type=type_name,
        text=rendered.text,
        input_tokens=rendered.input_tokens,
        pins=Pins(options.lane, urgency, options.model),
        tags=options.tags,
        fields=record,
        output_tokens=rendered.output_tokens,
        key=options.key,
        team=options.team,
    )
