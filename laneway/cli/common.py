"""What all commands share: options, the event loop, and the one place where errors leave the program."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from laneway.errors import LanewayError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

T = TypeVar("T")

ConfigOption = Annotated[
    list[Path] | None,
    typer.Option("--config", help="Config file; may be given again, later ones win.", show_default=False),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", help="sqlite:///path (default: .laneway/laneway.db beside the config).", show_default=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
VerboseOption = Annotated[
    int, typer.Option("-v", "--verbose", count=True, help="Tell more on stderr; -vv: everything.")
]


def application(config: list[Path] | None, store: str | None, verbose: int) -> Laneway:
    """The application of this command, with logging set up."""
    from laneway.app.laneway import Laneway
    from laneway.config.load import load
    from laneway.logs import configure

    redactor = configure(verbose)
    loaded = load([path.absolute() for path in config or ()], env=os.environ, cwd=Path.cwd())
    return Laneway(loaded, store=store, secrets=redactor.add)


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine on the fastest loop there is."""
    import asyncio

    gc.freeze()
    gc.enable()
    if importlib.util.find_spec("uvloop") is None:  # it has no Windows version
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def print_json(data: Any) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(data).decode() + "\n")
    sys.stdout.flush()


def fail(error: LanewayError, as_json: bool) -> NoReturn:
    """Say what is wrong and what to do next, and leave with the error's exit code."""
    if as_json:
        print_json(error.as_json())
    else:
        sys.stderr.write(f"laneway: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"  → {error.hint}\n")
    raise SystemExit(error.exit_code)


def process_started() -> float:
    """When this process began, in seconds since 1970 (where the system tells, else now)."""
    try:
        with Path("/proc/self/stat").open("rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        since_boot = ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.time()
