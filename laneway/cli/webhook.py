"""``laneway webhook``: what receivers check webhooks by."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, VerboseOption, print_json, settings
from laneway.cli.token import checked_name
from laneway.errors import ConfigError


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        name="webhook",
        help="Show what receivers check the webhooks of `laneway serve` by.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("secret")(secret)
    app.add_typer(group)


def secret(
    team: Annotated[str, typer.Option(help="Whose tasks are told of.", show_default=False)],
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show the secret that a team's webhooks are signed with, for that team alone.

    It is made from the server's secret (LANEWAY_WEBHOOK_SECRET), which has to be in this command's environment, too.
    Nobody can come from the one to the other or to another team's. Where the server has several, the team has as many.
    """
    from laneway.server.webhooks.signing import of_team, secrets_in, written

    name = settings(config, verbose)[0].server.webhook_secret_env
    secrets = [written(one) for one in of_team(secrets_in(os.environ, name), checked_name(team))]
    if not secrets:
        raise ConfigError(f"{name} holds no secret", hint="set it as it is set for `laneway serve`")
    if as_json:
        print_json({"team": team, "secrets": secrets})
    else:
        sys.stdout.write("".join(f"{one}\n" for one in secrets))
