"""``laneway submit``: tasks into the store, for workers to do."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async
from laneway.cli.input_options import LaneOption, ModelOption, UrgencyOption
from laneway.errors import UsageError, WaitTimeout

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.options import Options
    from laneway.app.submitting import Filed

TIMES = '18:30, "2026-12-01 18:30", or 2h from now'


def register(app: typer.Typer) -> None:
    app.command("submit")(submit)


def submit(
    name: Annotated[
        str, typer.Argument(help="A prompt type of the config, or a Python task or flow.", metavar="TYPE|TASK")
    ],
    fields: Annotated[
        list[str] | None,
        typer.Argument(
            help="Its record or arguments: name=text, name:=json; or - for many on standard input.",
            metavar="[FIELD=VALUE…|-]",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", help="Many: records as `run` reads them.", show_default=False)
    ] = None,
    app: Annotated[str | None, typer.Option(help="Where Python tasks are: module:name.", show_default=False)] = None,
    key: Annotated[str | None, typer.Option(help="The same key is the same task.", show_default=False)] = None,
    urgency: UrgencyOption = None,
    lane: LaneOption = None,
    model: ModelOption = None,
    deadline: Annotated[str | None, typer.Option(help=TIMES, show_default=False)] = None,
    at: Annotated[str | None, typer.Option("--at", help=f"Not before: {TIMES}.", show_default=False)] = None,
    delay: Annotated[str | None, typer.Option(help="Not before this long from now: 10m.", show_default=False)] = None,
    tags: Annotated[str | None, typer.Option(help="Words, with commas between.", show_default=False)] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the results and print them.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0, help="Wait this many seconds at most.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Put a task into the store for `laneway worker` to do, and print its id; a file's tasks are a run of their own.

    laneway submit review text="Is this a scam?" --urgency urgent --wait
    """
    lw = _application(name, app, config, store, verbose)
    words = fields or []
    if words == ["-"] or file is not None:
        if words not in ([], ["-"]) or key is not None:
            raise UsageError("fields and --key are for one task, --file and - for many", hint="give one or the other")
        source = file if file is not None else "-"
    else:
        source = ""
    options = _options(lw, key, urgency, lane, model, deadline, at, delay, tags)
    wait = wait or timeout is not None
    if source:
        run_async(_many(lw, name, source, options, wait=wait, timeout=timeout, as_json=as_json))
    else:
        run_async(_one(lw, name, words, options, wait=wait, timeout=timeout, as_json=as_json))


def _application(name: str, app: str | None, config: list[Path] | None, store: str | None, verbose: int) -> Laneway:
    """That of the app where a Python task is meant, else the config's alone."""
    from laneway.cli.worker import load_app

    lw = application(config, store, verbose)
    reference = app or (None if name in lw.config.prompt_types else lw.config.app)
    if reference is None:
        if name not in lw.config.prompt_types:
            raise UsageError(
                f"there is no task type {name!r}",
                hint=f"types: {', '.join(lw.config.prompt_types) or 'none'}; for a Python task give --app module:name",
            )
        return lw
    lw = load_app(reference, lw.config.folder)
    if store is not None:
        lw.use_store(store)
    return lw


def _options(
    lw: Laneway,
    key: str | None,
    urgency: str | None,
    lane: str | None,
    model: str | None,
    deadline: str | None,
    at: str | None,
    delay: str | None,
    tags: str | None,
) -> Options:
    from laneway.app.moments import moment
    from laneway.app.options import Options, seconds

    now = lw.clock.now()
    return Options(
        key=key,
        urgency=urgency,
        lane=lane,
        model=model,
        deadline=None if deadline is None else moment(deadline, now),
        delay=None if delay is None else seconds(delay),
        tags=[tag.strip() for tag in (tags or "").split(",") if tag.strip()],
        at=None if at is None else moment(at, now),
    )


async def _one(
    lw: Laneway, name: str, words: list[str], options: Options, *, wait: bool, timeout: float | None, as_json: bool
) -> None:
    from laneway.app.submitting import arguments, is_python, shown, submit_one

    try:
        args, named = arguments(words, python=is_python(lw, name))
        job = await submit_one(lw, name, args, named, options)
        said: dict[str, Any] = {"task": job.id, "key": job.key}
        if not wait:
            if as_json:
                print_json(said)
            else:
                sys.stdout.write(f"{job.id}\n")
                await _mind_workers(lw)
            return
        value = shown(await job.result(timeout), (await job.status()).wire)
        if as_json:
            print_json({**said, "status": "succeeded", "output": value})
        else:
            import orjson

            text = value if isinstance(value, str) else orjson.dumps(value).decode()
            sys.stdout.write(text + "\n")
    finally:
        await lw.close()


async def _many(
    lw: Laneway, name: str, source: str, options: Options, *, wait: bool, timeout: float | None, as_json: bool
) -> None:
    import asyncio

    from laneway.app.submitting import submit_file
    from laneway.cli.results import follow_run
    from laneway.intake.options import ReadOptions

    try:
        urgency = None if options.urgency is None else lw.triage.urgency_of(options.urgency)
        read = ReadOptions(type=name, model=options.model, lane=options.lane, urgency=urgency)
        filed = await submit_file(lw, name, source, read, options)
        if not wait:
            if as_json:
                print_json({"run_id": filed.run_id, "tasks": filed.tasks, "deduplicated": filed.deduplicated})
            else:
                sys.stdout.write(f"run {filed.run_id}\n")
                await _say_filed(lw, filed)
            return
        await _mind_workers(lw)
        try:
            async with asyncio.timeout(timeout):
                failed = await follow_run(lw, filed.run_id)
        except TimeoutError:
            raise WaitTimeout(
                f"run {filed.run_id} has not ended within {timeout:g} s",
                hint=f"it goes on; `laneway results {filed.run_id} --follow` shows the rest",
            ) from None
        if failed:
            raise SystemExit(1)
    finally:
        await lw.close()


async def _say_filed(lw: Laneway, filed: Filed) -> None:
    known = f", {filed.deduplicated:,} of them done before" if filed.deduplicated else ""
    sys.stderr.write(f"{filed.tasks:,} tasks{known}; `laneway results {filed.run_id} --follow` shows their answers\n")
    await _mind_workers(lw)


async def _mind_workers(lw: Laneway) -> None:
    """Say so when nobody is there to do it."""
    now = lw.clock.now()
    if not any(worker.lease_until > now for worker in await lw.store.workers(now)):
        sys.stderr.write("no worker serves this store; `laneway worker` does it\n")
