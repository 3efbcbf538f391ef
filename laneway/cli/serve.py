"""``laneway serve``: the providers' APIs, with every request a durable task."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Annotated

import typer

from laneway.cli.common import (
    ConfigOption,
    JsonOption,
    LogFormat,
    LogFormatOption,
    StoreOption,
    VerboseOption,
    application,
    print_json,
    run_async,
)
from laneway.cli.systemd import ServiceManager
from laneway.cli.worker import load_app
from laneway.errors import ConfigError, UsageError
from laneway.logs import learn_secrets

MEGABYTE = 1_000_000
AFTERWARDS_S = 30.0  # beyond the time of open requests, for what is in flight and the last writes


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any free one.")] = 8080,
    token_env: Annotated[
        str, typer.Option(help="Variable with the token that clients send as their API key.")
    ] = "LANEWAY_TOKEN",  # noqa: S107 - a variable's name
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="A Host name that is served; may be given again.", show_default=False),
    ] = None,
    urgency: Annotated[str, typer.Option(help="Of requests that name none.")] = "immediate",
    timeout: Annotated[float, typer.Option(min=1, help="Seconds a client may wait; the task goes on.")] = 600,
    drain: Annotated[float, typer.Option(min=1, help="Seconds that open requests have at the end.")] = 30,
    worker: Annotated[bool, typer.Option(help="Work on the store's tasks in this process, too.")] = True,
    max_body: Annotated[int, typer.Option(min=1, help="Largest request, in MB.")] = 64,
    access_log: Annotated[bool, typer.Option(help="Log every request.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
    log_format: LogFormatOption = LogFormat.TEXT,
) -> None:
    """Serve the APIs of OpenAI and Anthropic, so that their clients need only another base URL.

    Every request is a durable task, triaged where its model is "auto", within the limits of its account. A worker
    runs in this process. Ctrl-C and SIGTERM answer what is open and finish what is in flight.
    """
    settings = application(config, store, verbose, log_format)
    try:
        from laneway.server.access import access
        from laneway.server.app import Manners
        from laneway.server.listening import passed
        from laneway.server.serving import ServeOptions
        from laneway.server.serving import serve as serve_until_stopped
    except ImportError as error:
        raise ConfigError(
            f"laneway serve needs {error.name}", hint="install it with: pip install 'laneway[serve]'"
        ) from error
    reference = settings.config.app
    lw = settings if reference is None else load_app(reference, settings.config.folder)
    if lw is not settings and store is not None:
        lw.use_store(store)
    try:
        level = lw.config.urgency_of(urgency)
    except ValueError as error:
        raise UsageError(str(error), hint="see `laneway serve --help`") from None
    token = os.environ.get(token_env, "").strip() or None
    learn_secrets({token} if token else set())
    listener = passed(os.environ)
    place = host if listener is None else str(listener.getsockname()[0])
    manners = Manners(level, timeout, max_body * MEGABYTE, worker)

    manager, watching = ServiceManager(os.environ), []

    def ready(url: str) -> None:
        manager.ready(f"serves {url}")
        watching.append(asyncio.ensure_future(manager.keep_watched(lambda: True)))  # whoever says so moves
        if as_json:
            print_json({"url": url, "pid": os.getpid()})
        else:
            sys.stdout.write(f"laneway serves {url} (Ctrl-C ends it)\n")
            sys.stdout.flush()

    def stopping() -> None:
        manager.stopping("open requests are answered", drain + AFTERWARDS_S)

    async def serve_it() -> None:
        try:
            reachable = access(place, token, allow_host or [], tokens=bool(await lw.store.tokens()))
        except BaseException:
            await lw.close()
            raise
        options = ServeOptions(place, port, reachable, manners, drain, access_log, listener)
        await serve_until_stopped(lw, options, ready, stopping)

    run_async(serve_it())
