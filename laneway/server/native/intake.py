"""From what a client sends to tasks in the store: rendered, routed, and all of them or none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from laneway.app.due import due_at
from laneway.app.jobs import plain
from laneway.app.options import Options
from laneway.app.preparing import Prepared
from laneway.app.routing import Routing
from laneway.errors import ConflictError, InputError, LanewayError
from laneway.intake.batch.lines import BatchLines
from laneway.intake.batch.request import Bad
from laneway.intake.options import ReadOptions
from laneway.server.backpressure import Gate
from laneway.server.caller import Caller
from laneway.server.native.bounds import when
from laneway.server.native.errors import ItemFaults
from laneway.server.native.forms import NewTaskForm
from laneway.server.tokens.allowing import allowed, check_urgency
from laneway.server.webhooks.book import Ask, Webhooks
from laneway.task import Wire

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.server.native.seeing import Seeing
    from laneway.store.runs import Run, Submitted
    from laneway.task import NewTask

AT_ONCE = 50  # tasks rendered and routed without a pause: calls are answered meanwhile
CONFLICT = "this key was used for another request"


class NativeIntake:
    def __init__(self, lw: Laneway, gate: Gate, seeing: Seeing, webhooks: Webhooks) -> None:
        self._lw = lw
        self._gate = gate
        self._seeing = seeing
        self._webhooks = webhooks
        self._config = lw.config
        self._routing = Routing(lw, lw.catalog)

    async def take(self, caller: Caller, form: NewTaskForm) -> Submitted:
        """One task; durable when this returns. Raises LanewayError."""
        prepared = self._prepare(caller, form)
        run = await self._seeing.own_run(caller)
        done = await self._submit(caller, run, [prepared])
        if done.conflicts:
            raise ConflictError(f"the key {form.key!r} was used for another request", hint="use another key")
        await self._announce(caller, [form], done)
        return done

    async def take_many(self, caller: Caller, forms: Sequence[NewTaskForm]) -> Submitted:
        """All of them in one transaction, or ItemFaults."""
        prepared: list[Prepared] = []
        faults: dict[int, str] = {}
        for index, form in enumerate(forms):
            if index % AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                prepared.append(self._prepare(caller, form))
            except LanewayError as error:
                faults[index] = error.message
        if faults:
            raise ItemFaults(faults)
        run = await self._seeing.own_run(caller)
        if conflicts := await self._conflicts(run, [one.task for one in prepared]):
            raise ItemFaults(dict.fromkeys(conflicts, CONFLICT), conflict=True)
        done = await self._submit(caller, run, prepared)
        if done.conflicts:  # somebody used these keys since we looked; the other tasks are in
            raise ItemFaults(dict.fromkeys(done.conflicts, CONFLICT), conflict=True)
        await self._announce(caller, forms, done)
        return done

    async def _announce(self, caller: Caller, forms: Sequence[NewTaskForm], done: Submitted) -> None:
        """Whoever is to be told when they have ended. A client that was not answered for a kill asks again."""
        told = [(id_, form.webhook) for id_, form in zip(done.ids, forms, strict=True) if form.webhook is not None]
        await self._webhooks.register([Ask(id_, self._webhooks.check(url), caller.team) for id_, url in told])

    async def _conflicts(self, run: Run, tasks: Sequence[NewTask]) -> list[int]:
        """Positions of tasks whose key came with another request, here or before."""
        known = {key: hash_ for key, (_, hash_) in await self._known(run, tasks)}
        found = []
        for position, task in enumerate(tasks):
            if task.key is not None and known.setdefault(task.key, task.hash) != task.hash:
                found.append(position)
        return found

    async def _known(self, run: Run, tasks: Sequence[NewTask]) -> list[tuple[str, tuple[int, bytes]]]:
        keys = list({task.key for task in tasks if task.key is not None})
        return list((await self._lw.store.named(run, keys)).items()) if keys else []

    async def _submit(self, caller: Caller, run: Run, prepared: Sequence[Prepared]) -> Submitted:
        """Raises Refusal where there is no room for what is not in already."""

        async def known() -> bool:
            tasks = [one.task for one in prepared]
            found = {key for key, _ in await self._known(run, tasks)}
            return all(task.key in found for task in tasks)

        async with self._gate.place(caller, len(prepared), known):
            done = await self._lw.preparing.submit(self._lw.store, run, prepared, self._lw.clock.now())
        self._lw.poke()
        return done

    def _prepare(self, caller: Caller, form: NewTaskForm) -> Prepared:
        if form.webhook is not None:
            self._webhooks.check(form.webhook)
        if form.type is None:
            return self._own(caller, form, self._of_body(caller, form))
        options = Options(
            form.key,
            form.urgency,
            form.lane,
            None if form.model == "auto" else form.model,
            when(form.deadline),
            form.delay_s,
            form.tags,
            caller.team,
            when(form.at),
        )
        return self._own(caller, form, self._lw.preparing.prepare(form.type, (), form.fields or {}, options))

    def _own(self, caller: Caller, form: NewTaskForm, prepared: Prepared) -> Prepared:
        """As the caller may have it. Raises Refusal for a lane or an urgency that is not theirs."""
        if form.urgency is not None:
            check_urgency(caller, self._lw.triage.urgency_of(form.urgency))
        task = allowed(caller, prepared.task, self._lw.config, self._lw.clock.now())
        return prepared._replace(task=task, patient=None if caller.bound else prepared.patient)

    def _of_body(self, caller: Caller, form: NewTaskForm) -> Prepared:
        lw = self._lw
        body = dict(form.body) if form.body is not None else _chat(form)
        if form.model is not None:
            body["model"] = form.model
        options = ReadOptions(lane=form.lane, urgency=lw.triage.urgency_of(form.urgency) if form.urgency else None)
        try:
            draft = BatchLines(lw.config, options).draft(1, form.key or uuid.uuid4().hex, Wire(form.format), body)
        except Bad as error:
            raise InputError(str(error)) from error
        deadline, now = when(form.deadline), lw.clock.now()
        tags = tuple(dict.fromkeys((*draft.tags, *form.tags)))
        draft = replace(draft, deadline=deadline, tags=tags)
        if self._config is not lw.config:  # a new one has come since
            self._config, self._routing = lw.config, Routing(lw, lw.catalog)
        task, patient = self._routing.route(draft, now)[1:]
        wake_at = Options(delay=form.delay_s, at=when(form.at)).wake_at(now)
        if wake_at is not None:
            wait = lw.config.target_wait(task.route.urgency)
            task = replace(task, wake_at=wake_at, due_at=due_at(wake_at, wait, deadline, *_size(task)))
        return Prepared(replace(task, key=form.key, team=caller.team), plain, patient)


def _chat(form: NewTaskForm) -> dict[str, object]:
    system = [] if form.system is None else [{"role": "system", "content": form.system}]
    return {"messages": [*system, {"role": "user", "content": form.prompt}]}


def _size(task: NewTask) -> tuple[int, int]:
    return task.input_tokens, task.output_tokens
