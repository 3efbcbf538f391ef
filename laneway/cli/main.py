"""``laneway``: one command a file, imported when it is used."""

from __future__ import annotations

import sys

import click
import typer

from laneway.cli import demo, run, show, simulator, worker
from laneway.cli.common import fail
from laneway.errors import LanewayError, UsageError

app = typer.Typer(
    name="laneway",
    help="Run many AI tasks at once: triaged, within every limit, durable, and with the books kept.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version(value: bool) -> None:
    if value:
        from laneway import __version__

        sys.stdout.write(f"laneway {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    _version: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Print the version."),
) -> None:
    """Run many AI tasks at once: triaged, within every limit, durable, and with the books kept."""


for group in (run, demo, show, worker, simulator):
    group.register(app)


def main() -> None:
    """The console entry. Every expected error leaves through ``fail``; a traceback is a bug."""
    as_json = "--json" in sys.argv
    try:
        code = app(standalone_mode=False)
        raise SystemExit(code if isinstance(code, int) else 0)
    except LanewayError as error:
        fail(error, as_json)
    except click.ClickException as error:
        fail(UsageError(error.format_message(), hint=f"see `{_help(error)}`"), as_json)
    except (KeyboardInterrupt, click.Abort):
        raise SystemExit(130) from None
    except BrokenPipeError:
        raise SystemExit(0) from None


def _help(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context else 'laneway'} --help"


if __name__ == "__main__":
    main()
