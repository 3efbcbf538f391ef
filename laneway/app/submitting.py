"""``laneway submit``: tasks into the store for workers, one by one or as a run of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from laneway.app.due import expected_run_s
from laneway.app.jobs import API_RUN, Job
from laneway.app.options import Options
from laneway.app.runs.taking_in import CHUNK, OnBadInput, TakingIn
from laneway.errors import ConflictError, InputError, UsageError
from laneway.intake.kind import Kind
from laneway.intake.options import ReadOptions
from laneway.intake.reading import Reading, open_reading
from laneway.intake.source import Source
from laneway.task import NewTask, Wire

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.runs import Run

JSON_FILES = (".json", ".jsonl", ".ndjson")  # each line is the arguments of a call, or its only one


@dataclass(frozen=True, slots=True)
class Filed:
    """A file's tasks, as a run of their own."""

    run_id: int
    tasks: int
    deduplicated: int


def arguments(words: Sequence[str], *, python: bool) -> tuple[list[Any], dict[str, Any]]:
    """``name=value`` and ``name:=json`` → (positional, named). A Python task's values are JSON where they read as such;
    a record's are texts. Raises UsageError."""
    args: list[Any] = []
    named: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            if not python:
                raise UsageError(f"{word!r} is no field", hint="write name=value, or name:=json")
            args.append(_json_or_text(word))
        elif name.endswith(":"):
            try:
                named[name[:-1]] = orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise UsageError(
                    f"{word!r}: the value is not JSON: {error}", hint="write name=text for a text"
                ) from None
        else:
            named[name] = _json_or_text(value) if python else value
    return args, named


def _json_or_text(value: str) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


async def submit_one(
    lw: Laneway, name: str, args: Sequence[Any], named: Mapping[str, Any], options: Options
) -> Job[Any]:
    """One task of a prompt type or a Python function. Raises ConflictError, InputError, NotFoundError, UsageError."""
    if name in lw.config.prompt_types:
        if options.model is not None:
            lw.new_catalog(keys_needed=False).model(options.model)
        try:
            prepared = lw.preparing.prepare(name, (dict(named),), {}, options)
        except InputError as error:
            hint = error.hint or "give every field that the prompt uses: name=text"
            raise InputError(error.message, hint=hint) from None
    else:
        prepared = lw.preparing.prepare(lw.python.find(name), tuple(args), named, options)
    now = lw.clock.now()
    run = await lw.store.open_run(API_RUN, info={"kind": "api"}, max_cost=None, now=now, join=True)
    done = await lw.preparing.submit(lw.store, run, [prepared], now)
    if done.conflicts:
        raise ConflictError(
            f"the key {options.key!r} was used for other arguments before", hint="use another key, or leave it out"
        )
    return Job(done.ids[0], options.key, lambda: lw.board, prepared.decode)


async def submit_file(lw: Laneway, name: str, source: str, read: ReadOptions, options: Options) -> Filed:
    """Every record or call of a file, all or none. Raises InputError when something in it cannot be used."""
    if is_python(lw, name):
        function = lw.python.find(name)
        if source != "-" and Path(source).suffix.casefold() not in JSON_FILES:  # a table, a folder: as `run` reads it
            from laneway.app.python.records import Calls

            read = dataclasses.replace(read, type=None, calls=Calls(lw, function))
            with contextlib.closing(open_reading(source, lw.config, read)) as reading:
                async with _run(lw, source, reading.kind) as run:
                    return await _records(lw, run, reading, options)
        async with _run(lw, source, Kind.RECORDS) as run:
            return await _calls(lw, run, name, source, options)
    with contextlib.closing(open_reading(source, lw.config, read)) as reading:
        async with _run(lw, source, reading.kind) as run:
            return await _records(lw, run, reading, options)


@contextlib.asynccontextmanager
async def _run(lw: Laneway, source: str, kind: Kind) -> AsyncIterator[Run]:
    """A run of its own, sealed at the end; after an error nothing of it remains."""
    run = await lw.store.open_run(
        f"submit {source} ({uuid.uuid4().hex[:8]})",
        info={"kind": kind.value, "input": source, "submitted": True},
        max_cost=None,
        now=lw.clock.now(),
    )
    try:
        yield run
        await lw.store.seal_run(run, lw.clock.now())
    except BaseException:
        await lw.store.abandon_run(run)
        raise


async def _records(lw: Laneway, run: Run, reading: Reading, options: Options) -> Filed:
    intake = TakingIn(lw, reading, lw.new_catalog(keys_needed=False))
    for chunk in intake.chunks():
        now = lw.clock.now()
        await intake.submit(run, chunk, now, partial(_at, options=options, now=now))
    intake.finish(OnBadInput.STOP)
    return Filed(run.id, intake.taken, intake.deduplicated)


async def _calls(lw: Laneway, run: Run, name: str, source: str, options: Options) -> Filed:
    """One call of a Python task a line: an object of its arguments by name, a list of them, or its only one."""
    function = lw.python.find(name)
    taken = 0
    chunk: list[NewTask] = []

    async def send() -> None:
        nonlocal taken
        await lw.store.submit(run, chunk, lw.clock.now(), held=True)
        taken += len(chunk)
        chunk.clear()

    for line, given in _json_lines(source):
        args = tuple(given) if isinstance(given, list) else () if isinstance(given, dict) else (given,)
        try:
            new = lw.preparing.prepare(function, args, given if isinstance(given, dict) else {}, options)
        except UsageError as error:
            raise InputError(f"{source}, line {line}: {error.message}", hint=error.hint) from None
        chunk.append(dataclasses.replace(new.task, key=str(line)))
        if len(chunk) == CHUNK:
            await send()
    if chunk:
        await send()
    if not taken:
        raise InputError(f"{source} holds no tasks", hint="one JSON value a line: the arguments of a call")
    return Filed(run.id, taken, 0)


def _json_lines(source: str) -> Iterator[tuple[int, Any]]:
    from laneway.intake.draft import BadLine

    with contextlib.closing(Source(source)) as lines:
        for number, raw in lines.lines():
            try:
                if isinstance(raw, BadLine):
                    raise InputError(f"{source}, line {number}: {raw.reason}")
                yield number, orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                raise InputError(
                    f"{source}, line {number}: not JSON: {error}", hint="one JSON value a line: the arguments of a call"
                ) from None


def _at(task: NewTask, options: Options, now: float) -> NewTask:
    """A record's task with the command's time, deadline and tags."""
    wake_at = options.wake_at(now)
    deadline = task.deadline if options.deadline is None else options.deadline
    due = task.due_at if wake_at is None else task.due_at + (wake_at - now)
    if deadline is not None:
        due = min(due, deadline - expected_run_s(task.input_tokens, task.output_tokens))
    return dataclasses.replace(
        task,
        wake_at=wake_at,
        deadline=deadline,
        due_at=due,
        tags=tuple(dict.fromkeys((*task.tags, *options.tags))),
    )


def is_python(lw: Laneway, name: str) -> bool:
    return name not in lw.config.prompt_types


def shown(value: Any, wire: Wire) -> Any:
    """A result as JSON can carry it."""
    from laneway.app.python.tasks import to_json

    return orjson.loads(to_json(value, wire.value))
