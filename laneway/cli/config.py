"""``laneway config``: the settings in force, where they come from, and whether they are sound."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, print_json

if TYPE_CHECKING:
    from laneway.config.models import Config


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        name="config",
        help="Settings in force: what, where from, and whether sound.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("show")(show)
    group.command("check")(check)
    group.command("path")(path)
    app.add_typer(group)


def show(
    origin: Annotated[bool, typer.Option("--origin", help="Say behind each value where it comes from.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Also what nobody has set.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the settings in force as TOML: files, later files and variables laid over each other.

    Keys are never in it; of headers that may hold one only the names are.
    """
    from laneway.setup.effective import as_json as settings_as_json
    from laneway.setup.effective import as_toml, settings

    loaded = _load(config)
    found = settings(loaded, os.environ, Path.cwd(), defaults=every)
    if as_json:
        print_json({"files": [str(file) for file in loaded.sources], **settings_as_json(found)})
    elif found:
        sys.stdout.write(as_toml(found, origin=origin))
    else:
        sys.stderr.write("nothing is set; `laneway init` writes a config, --all shows the defaults\n")


def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Whether the config is sound: settings, rules, templates and schemas. Asks no endpoint; doctor does."""
    from laneway.setup.soundness import check_meaning

    loaded = _load(config)
    check_meaning(loaded)
    files = [str(file) for file in loaded.sources]
    if as_json:
        print_json({"sound": True, "files": files})
    else:
        sys.stdout.write(f"{', '.join(files)}: sound\n" if files else "there is no config, which is sound, too\n")


def path(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Which config files are in use."""
    from laneway.config.load import found_files

    files = found_files(config or (), env=os.environ, cwd=Path.cwd())
    if as_json:
        print_json({"files": [str(file) for file in files]})
    elif files:
        sys.stdout.write("".join(f"{file}\n" for file in files))
    else:
        sys.stderr.write("there is no laneway.toml here or above; `laneway init` writes one\n")


def _load(config: list[Path] | None) -> Config:
    from laneway.config.load import load

    return load([file.absolute() for file in config or ()], env=os.environ, cwd=Path.cwd())
