"""What can be asked of the server, as plans."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from laneway.client.listening import listened
from laneway.client.mapping import Key, mapped
from laneway.client.plans import asked, get, given, listed, named, send, told
from laneway.client.shapes import Result, Run, Selected, Task
from laneway.client.steps import LONGEST_S, Plan
from laneway.errors import UsageError, WaitTimeout

FIGURES = ("lanes", "accounts", "models", "types", "workers", "failures")
POLL_S = 30.0  # of one question for a task's end
Moment = float | datetime.datetime


@dataclass(frozen=True)
class Wishes:
    """How tasks are to be done. ``deadline`` and ``at``: a datetime, or seconds since 1970. ``delay``: seconds to wait
    first. ``webhook``: an address that is told of the end."""

    urgency: str | None = None
    lane: str | None = None
    model: str | None = None
    deadline: Moment | None = None
    delay: float | None = None
    at: Moment | None = None
    tags: Sequence[str] = ()
    webhook: str | None = None

    def as_json(self) -> dict[str, Any]:
        return given(
            urgency=self.urgency,
            lane=self.lane,
            model=self.model,
            deadline=_seconds(self.deadline),
            delay_s=self.delay,
            at=_seconds(self.at),
            tags=list(self.tags) or None,
            webhook=self.webhook,
        )


class Calls:
    """``patience``: seconds for which a server that is away, or has no room, is asked again. ``now``: seconds, of a
    clock that never runs backwards."""

    def __init__(self, patience: float, now: Callable[[], float]) -> None:
        self._patience = patience
        self._now = now

    def submit(self, what: Mapping[str, Any], key: str | None, wishes: Wishes) -> Plan[Task]:
        body = {**what, **wishes.as_json(), "key": key or uuid.uuid4().hex}
        return Task.of((yield from told(send("/tasks", body), self._patience)))

    def map(self, type_: str | None, records: Any, key: Key, wishes: Wishes) -> Plan[None]:
        return mapped(type_, records, key, wishes.as_json(), self._patience)

    def task(self, ref: int | str) -> Plan[Task]:
        return Task.of((yield from told(get(f"/tasks/{named(ref)}"), self._patience)))

    def ended(self, ref: int | str, timeout: float | None) -> Plan[Task]:
        """Raises WaitTimeout."""
        until = None if timeout is None else self._now() + timeout
        while True:
            left = POLL_S if until is None else max(0.0, min(POLL_S, until - self._now()))
            request = get(f"/tasks/{named(ref)}/wait", {"timeout_s": round(left, 3)}, timeout=left + LONGEST_S)
            task = Task.of((yield from told(request, self._patience)))
            if task.ended:
                return task
            if until is not None and self._now() >= until:
                said = f"{task.key or f'task {task.id}'} has not ended within {timeout:g} s"
                raise WaitTimeout(said, hint="it goes on; ask again later")

    def tasks(self, **filter_: Any) -> Plan[None]:
        return listed("/tasks", _filter(filter_), Task.of, self._patience)

    def cancel(self, ref: int | str) -> Plan[bool]:
        return bool((yield from told(send(f"/tasks/{named(ref)}/cancel"), self._patience))["changed"])

    def retry(self, ref: int | str) -> Plan[bool]:
        request = send(f"/tasks/{named(ref)}/retry", again=False)  # it may have failed again by the second time
        return bool((yield from told(request, self._patience))["changed"])

    def set(self, ref: int | str, **change: Any) -> Plan[bool]:
        request = send(f"/tasks/{named(ref)}", _change(change), method="PATCH")
        return bool((yield from told(request, self._patience))["changed"])

    def select(
        self, verb: str, filter_: Mapping[str, Any], change: Mapping[str, Any] | None, *, dry_run: bool
    ) -> Plan[Selected]:
        asked_for = {name: [value] if isinstance(value, str) else value for name, value in _filter(filter_).items()}
        body = given(verb=verb, filter=asked_for, change=_change(change) if change else None)
        request = send("/tasks/select", {**body, "dry_run": dry_run}, again=dry_run or verb != "retry")
        return Selected.of((yield from told(request, self._patience)))

    def explain(self, ref: int | str) -> Plan[Any]:
        return (yield from told(get(f"/tasks/{named(ref)}/explain"), self._patience))

    def tree(self, ref: int | str) -> Plan[Any]:
        return (yield from told(get(f"/tasks/{named(ref)}/tree"), self._patience))

    def feedback(self, ref: int | str, word: str, field: str | None, note: str | None) -> Plan[None]:
        body = given(word=word, field=field, note=note)
        yield from asked(send(f"/tasks/{named(ref)}/feedback", body), self._patience)

    def send_event(self, ref: int | str, name: str, data: Any) -> Plan[None]:
        request = send(f"/tasks/{named(ref)}/event", {"name": name, "data": data}, again=False)
        yield from asked(request, self._patience)

    def hold(self, verb: str, lane: str | None, account: str | None, run: int | None) -> Plan[bool]:
        places = given(lanes=lane, accounts=account, runs=run)
        if len(places) != 1:
            raise UsageError(f"{verb} what?", hint=f"{verb}(lane=…), {verb}(account=…) or {verb}(run=…)")
        ((kind, name),) = places.items()
        return bool((yield from told(send(f"/{kind}/{named(name)}/{verb}"), self._patience))["changed"])

    def limit(self, lane: str | None, account: str | None, limits: Mapping[str, float | None]) -> Plan[None]:
        places = given(lanes=lane, accounts=account)
        if len(places) != 1 or not limits:
            raise UsageError("limit what?", hint="limit(lane=…, concurrency=4), or limit(account=…, …)")
        ((kind, name),) = places.items()
        yield from asked(send(f"/{kind}/{named(name)}", dict(limits), method="PATCH"), self._patience)

    def drain(self, worker: str) -> Plan[None]:
        yield from asked(send(f"/workers/{named(worker)}/drain"), self._patience)

    def overview(self) -> Plan[Any]:
        return (yield from told(get("/overview"), self._patience))

    def figures(self, of: str) -> Plan[None]:
        if of not in FIGURES:
            raise UsageError(f"there are no figures of {of!r}", hint=f"there are of {', '.join(FIGURES)}")
        return listed(f"/{of}", {}, dict, self._patience)

    def runs(self) -> Plan[None]:
        return listed("/runs", {}, Run.of, self._patience)

    def run(self, run_id: int) -> Plan[Run]:
        return Run.of((yield from told(get(f"/runs/{run_id}"), self._patience)))

    def results(self, run_id: int, after: int) -> Plan[None]:
        return listed(f"/runs/{run_id}/results", {}, Result.of, self._patience, after)

    def events(self, after: int | str | None) -> Plan[None]:
        return listened("/events", after, self._patience)

    def task_events(self, ref: int | str) -> Plan[None]:
        return listened(f"/tasks/{named(ref)}/events", None, self._patience, until_ended=True)


def asking(
    type_: str | None,
    prompt: str | None,
    system: str | None,
    body: Mapping[str, Any] | None,
    format_: str | None,
    fields: Mapping[str, Any] | None,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """What a task asks. ``more``: fields that were given by name."""
    of_type = {**(fields or {}), **more} if type_ is not None or fields or more else None
    return given(type=type_, prompt=prompt, system=system, body=body, format=format_, fields=of_type)


def _filter(asked_for: Mapping[str, Any]) -> dict[str, Any]:
    """``class_`` and ``type_`` are Python's words with an underscore."""
    return given(**{name.rstrip("_"): value for name, value in asked_for.items()})


def _change(change: Mapping[str, Any]) -> dict[str, Any]:
    return given(**{**change, "deadline": _seconds(change.get("deadline"))})


def _seconds(moment: Moment | None) -> float | None:
    return moment.timestamp() if isinstance(moment, datetime.datetime) else moment
