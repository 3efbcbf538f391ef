"""``laneway``: one command a file, imported when it is used."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

import typer

from laneway.cli.common import crash, fail
from laneway.errors import LanewayError, UsageError

# typer brings its own copy of click; this is the base of everything that refuses a command line
Refused = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

# module: its commands, in the order of the help
COMMANDS: Mapping[str, Sequence[str]] = {
    "run": ["run"],
    "plan": ["plan"],
    "init": ["init"],
    "doctor": ["doctor"],
    "config": ["config"],
    "demo": ["demo"],
    "status": ["status"],
    "show": ["explain"],
    "graph": ["graph"],
    "submit": ["submit"],
    "send_event": ["send-event"],
    "results": ["results"],
    "feedback": ["feedback"],
    "triage": ["triage"],
    "steer": ["pause", "resume", "cancel", "retry", "set"],
    "worker": ["worker"],
    "serve": ["serve"],
    "token": ["token"],
    "webhook": ["webhook"],
    "prune": ["prune"],
    "store": ["store"],
    "trust": ["trust"],
    "simulator": ["simulator"],
}


def command_line(name: str | None) -> typer.Typer:
    """The application with the one command that is asked for: importing and building all takes 0.04 s. With all of them
    where none is named (help, completion) or the name is none (it may be like one of them)."""
    app = typer.Typer(
        name="laneway",
        help="Run many AI tasks at once: triaged, within every limit, durable, and with the books kept.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # plain help starts in half the time
        epilog="Your shell completes commands and the names in your config after `laneway --install-completion`"
        " (bash, zsh, fish, PowerShell) and in every new shell from then on.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(options)
    wanted = [module for module, names in COMMANDS.items() if name in names]
    for module in wanted or COMMANDS:
        importlib.import_module(f"laneway.cli.{module}").register(app)
    return app


def version(value: bool) -> None:
    if value:
        from laneway import __version__

        sys.stdout.write(f"laneway {__version__}\n")
        raise typer.Exit


def options(
    _version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Print the version."),
) -> None:
    """Run many AI tasks at once: triaged, within every limit, durable, and with the books kept."""


def main() -> NoReturn:
    """The console entry. Every expected error leaves through ``fail``; a traceback is a bug."""
    gc.disable()  # until everything is imported (see run_async): nothing of that is garbage
    try:
        _run("--json" in sys.argv)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            sys.stderr.write(leaving.code + "\n")
    else:
        code = 0
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # all is closed by now; taking the interpreter apart would cost another 0.15 s


def _run(as_json: bool) -> None:
    try:
        app = command_line(sys.argv[1] if len(sys.argv) > 1 else None)
        code = app(prog_name="laneway", standalone_mode=False)
    except LanewayError as error:
        fail(error, as_json)
    except (KeyboardInterrupt, typer.Abort):
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except Exception as error:  # noqa: BLE001 - what nobody expected leaves through ``crash``
        if not isinstance(error, Refused):
            crash(error, as_json)
        message = getattr(error, "format_message", lambda: "")()
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command: its message is the help
            sys.stderr.write(f"{message}\n")
            raise SystemExit(2) from None
        context = getattr(error, "ctx", None)
        fail(
            UsageError(
                message.replace("\n", " "), hint=f"see `{context.command_path if context else 'laneway'} --help`"
            ),
            as_json,
        )
    else:
        if isinstance(code, int):  # typer returns 130 for Ctrl-C
            raise SystemExit(code)


if __name__ == "__main__":
    main()
