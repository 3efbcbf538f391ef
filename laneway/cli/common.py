"""What all commands share: options, the event loop, and the one place where errors leave the program."""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import shutil
import sys
import threading
import time
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from laneway.errors import LanewayError

if TYPE_CHECKING:
    from logging import Logger

    from laneway.app.laneway import Laneway
    from laneway.config.models import Config
    from laneway.logs import Redactor

T = TypeVar("T")


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


ConfigOption = Annotated[
    list[Path] | None,
    typer.Option("--config", help="Config file; may be given again, later ones win.", show_default=False),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        help="sqlite:///path (default: .laneway/laneway.db beside the config) or postgresql://…",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
VerboseOption = Annotated[
    int, typer.Option("-v", "--verbose", count=True, help="Tell more on stderr; -vv: everything.")
]

LogFormatOption = Annotated[
    LogFormat,
    typer.Option(
        "--log-format",
        envvar="LANEWAY_LOG_FORMAT",
        help="Log lines for people, or one JSON object a line.",
        show_default=True,
    ),
]


def application(
    config: list[Path] | None, store: str | None, verbose: int, log_format: LogFormat = LogFormat.TEXT
) -> Laneway:
    """The application of this command, with logging set up."""
    from laneway.app.laneway import Laneway

    loaded, redactor = settings(config, verbose, log_format)
    return Laneway(loaded, store=store, secrets=redactor.add)


def settings(
    config: list[Path] | None, verbose: int, log_format: LogFormat = LogFormat.TEXT
) -> tuple[Config, Redactor]:
    """The config of this command, with logging set up: enough for one that only looks at the store."""
    from laneway.config.load import load
    from laneway.logs import configure, hide_content
    from laneway.providers.secrets import known_secrets

    redactor = configure(verbose, json=log_format is LogFormat.JSON, secrets=known_secrets(os.environ))
    loaded = load([path.absolute() for path in config or ()], env=os.environ, cwd=Path.cwd())
    redactor.add(known_secrets(os.environ, loaded))
    if loaded.hide_content:
        hide_content()
    return loaded, redactor


def import_aside(module: str) -> None:
    """Import on another thread; who imports the module in the meantime waits for it."""
    threading.Thread(target=importlib.import_module, args=(module,), daemon=True).start()


def run_async(work: Coroutine[Any, Any, T], *, brief: bool = False) -> T:
    """Run a command's coroutine on the fastest loop there is, or ``brief``, on the one that is there soonest. Raises
    KeyboardInterrupt for Ctrl-C and SIGTERM, once the coroutine has closed what it opened; commands that finish their
    work first handle both themselves."""
    import asyncio

    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # a run makes many objects, and hardly any in circles
    gc.enable()
    loop_factory = None
    if not brief and importlib.util.find_spec("uvloop") is not None:  # it has no Windows version
        import uvloop

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            return runner.run(_until_terminated(work))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


async def _until_terminated(work: Coroutine[Any, Any, T]) -> T:
    import asyncio
    import signal

    task = asyncio.current_task()
    assert task is not None, "this is one"
    with contextlib.suppress(NotImplementedError):  # Windows
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await work


def print_json(data: Any) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(data).decode() + "\n")
    sys.stdout.flush()


def printable(text: str) -> str:
    """Text from a model or a file, without what a terminal would obey."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def fail(error: LanewayError, as_json: bool) -> NoReturn:
    """Say what is wrong and what to do next, and leave with the error's exit code."""
    from laneway.logs import speaks_json, without_secrets

    said = error.as_json()["error"]
    if as_json:
        print_json({"error": {name: without_secrets(text) for name, text in said.items()}})
    elif speaks_json():
        _log().error("%s", said.pop("message"), extra={"fields": said})
    else:
        sys.stderr.write(f"laneway: {printable(without_secrets(error.message))}\n")
        if error.hint:
            sys.stderr.write(f"  → {printable(without_secrets(error.hint))}\n")
    raise SystemExit(error.exit_code)


def _log() -> Logger:
    import logging

    return logging.getLogger("laneway.cli")


def command_name(command: str = "laneway") -> str:
    """A ``laneway …`` command as it can be typed in this shell: where the name is not found, with its place."""
    program, _, rest = command.partition(" ")
    if program == "laneway" and shutil.which("laneway") is None:
        beside = Path(sys.executable).with_name("laneway")
        program = _from_here(beside) if beside.exists() else f"{_from_here(Path(sys.executable))} -m laneway"
    return f"{program} {rest}" if rest else program


def _from_here(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def crash(error: Exception, as_json: bool) -> NoReturn:
    """An error that nobody expected: a bug of ours. Its trace is shown as logs are, without keys."""
    from laneway.logs import crash_text, speaks_json

    name = type(error).__name__
    fault = f"an unexpected {name}; this is a fault of Laneway's: please report it"
    if speaks_json():
        _log().critical(fault, exc_info=error)
    else:
        sys.stderr.write(crash_text(error))
    if as_json:
        print_json({"error": {"kind": "internal", "message": f"an unexpected {name}", "hint": "please report it"}})
    if not speaks_json():
        sys.stderr.write(f"laneway: {fault}\n")
    raise SystemExit(1)


def process_started() -> float:
    """When this process began, in seconds since 1970 (where the system tells, else now)."""
    try:
        with Path("/proc/self/stat").open("rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        since_boot = ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
    except (OSError, ValueError, IndexError, AttributeError):
        return time.time()
