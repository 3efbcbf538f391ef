"""``laneway triage``: learning from examples and outcomes. One subcommand a file."""

from __future__ import annotations

import typer

from laneway.cli.triage_evaluate import evaluate
from laneway.cli.triage_pilot import pilot
from laneway.cli.triage_train import train


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        name="triage",
        help="Learn from examples and outcomes: what tasks are about, how urgent, and which model will do.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("train")(train)
    group.command("evaluate")(evaluate)
    group.command("pilot")(pilot)
    app.add_typer(group)
