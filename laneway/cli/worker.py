"""``laneway worker``: a process that works on whatever is in the store."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import (
    ConfigOption,
    JsonOption,
    LogFormat,
    LogFormatOption,
    StoreOption,
    VerboseOption,
    application,
    run_async,
)
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.cli.working import Wanted


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(
    app: Annotated[
        str | None, typer.Option(help="Where the Laneway object is: module:name.", show_default=False)
    ] = None,
    lanes: Annotated[
        str | None, typer.Option(help="Only these, with commas between them (default: all).", show_default=False)
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="So many of them, where one core is not enough.", show_default=True)
    ] = 1,
    grace: Annotated[str, typer.Option(help="Time to finish what is in flight at the end.")] = "30s",
    health: Annotated[
        str | None,
        typer.Option(help="PORT or HOST:PORT to answer GET /healthz and /readyz on.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
    log_format: LogFormatOption = LogFormat.TEXT,
    is_child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
    run_id: Annotated[int | None, typer.Option("--run", hidden=True)] = None,
    in_flight: Annotated[int, typer.Option(hidden=True)] = 1,
    concurrency: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Work on this store's tasks until Ctrl-C or SIGTERM.

    What is in flight is finished first, within the time of grace; the rest goes back to the queue. A second signal
    breaks off at once. Exit code 0 after SIGTERM, 130 after Ctrl-C, 3 where something was broken off.
    """
    if run_id is not None:
        lw = application(config, store, verbose, log_format)
        if app is not None:
            from laneway.cli.calling import app_of

            lw = app_of(lw, app, store)
        run_async(_help(lw, run_id, in_flight, concurrency))
        return
    settings = application(config, store, max(verbose, 1), log_format)
    wanted = _wanted(settings, app, lanes, processes, grace, health, store, as_json=as_json)
    if processes > 1:
        from laneway.cli.fleet import Fleet

        own = [("--lanes", lanes), ("--grace", grace), ("--log-format", log_format.value)]
        options = child_options(app, config, store, verbose, own)
        raise typer.Exit(run_async(Fleet(options, wanted, settings).run()))
    from laneway.cli.working import work

    lw = settings if wanted.app is None else load_app(wanted.app, settings.config.folder)
    if lw is not settings and store is not None:
        lw.use_store(store)
    raise typer.Exit(run_async(work(lw, wanted, is_child=is_child)))


def _wanted(
    settings: Laneway,
    app: str | None,
    lanes: str | None,
    processes: int,
    grace: str,
    health: str | None,
    store: str | None,
    *,
    as_json: bool,
) -> Wanted:
    """What is wrong with the options, or with the config, is said here, once."""
    from laneway.app.options import seconds
    from laneway.app.settings import store_url
    from laneway.cli.working import Wanted
    from laneway.server.health import address

    names = None if lanes is None else frozenset(filter(None, map(str.strip, lanes.split(","))))
    if names is not None and not names:
        raise UsageError("--lanes names no lane", hint="write --lanes legal,support, or leave it out for all")
    return Wanted(
        app=app or settings.config.app,
        lanes=names,
        processes=processes,
        grace=seconds(grace),
        health=None if health is None else address(health),
        store=store_url(store, settings.config, settings.env),
        as_json=as_json,
    )


def child_options(
    app: str | None,
    config: list[Path] | None,
    store: str | None,
    verbose: int,
    more: Sequence[tuple[str, object]] = (),
) -> list[str]:
    """The command line of a worker that is another process's child."""
    given = [("--app", app), ("--store", store), *(("--config", path) for path in config or ()), *more]
    options = [part for name, value in given if value is not None for part in (name, str(value))]
    return ["worker", "--child", *options, *["-v"] * verbose]


def load_app(reference: str, folder: Path) -> Laneway:
    """The Laneway object of ``module:name``; modules in the current folder and beside the config are found. Raises
    UsageError."""
    from laneway.app.laneway import Laneway

    for place in (str(folder), str(Path.cwd())):
        if place not in sys.path:
            sys.path.insert(0, place)
    module, _, name = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), name or "lw")
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(f"the app {reference!r} cannot be loaded: {error}", hint="give --app module:name") from error
    if not isinstance(found, Laneway):
        raise UsageError(f"{reference!r} is a {type(found).__name__}", hint="name the Laneway object, e.g. tasks:lw")
    return found


async def _help(lw: Laneway, run_id: int, in_flight: int, concurrency: int | None) -> None:
    """Work on one run beside the process that started it, until nothing is left to do. When our standard input ends
    what is in flight is finished first, at SIGTERM it is broken off."""
    from laneway.app.runs.part import part
    from laneway.cli.processes import at_parents_end

    loop = asyncio.get_running_loop()
    try:
        async with part(lw, run_id, in_flight=in_flight, concurrency=concurrency) as running:
            at_parents_end(running.dispatcher.drain)
            loop.add_signal_handler(signal.SIGTERM, running.dispatcher.abort)
            await running.dispatcher.run()
    finally:
        await lw.close()
