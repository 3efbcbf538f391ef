"""``laneway simulator``: hands its arguments to the simulator's own command line."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    app.command(
        "simulator",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
        help="A practice provider on this machine; --help lists its options.",
    )(simulator)


def simulator(context: typer.Context) -> None:
    """Serve until Ctrl-C. A wrong command line is told as every other command's."""
    from laneway.simulator.__main__ import run

    run(context.args)
