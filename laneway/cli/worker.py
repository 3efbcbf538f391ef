"""``laneway worker``: a process that works on whatever is in the store."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, StoreOption, VerboseOption, application, run_async
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


def register(app: typer.Typer) -> None:
    app.command("worker")(worker)


def worker(
    app: Annotated[
        str | None, typer.Option(help="Where the Laneway object is: module:name.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    verbose: VerboseOption = 0,
) -> None:
    """Work on this store's tasks until Ctrl-C or SIGTERM.

    What is in flight is finished first.
    """
    settings = application(config, store, max(verbose, 1))
    reference = app or settings.config.app
    lw = settings if reference is None else load_app(reference, settings.config.folder)
    if lw is not settings and store is not None:
        lw.use_store(store)
    run_async(_work(lw))


def load_app(reference: str, folder: Path) -> Laneway:
    """The Laneway object of ``module:name``; modules in the current folder and beside the config are found."""
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


async def _work(lw: Laneway) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        async with lw.worker():
            await stop.wait()
    finally:
        await lw.close()
