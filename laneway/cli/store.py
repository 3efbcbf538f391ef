"""``laneway store``: its schema, its books, and its way to a server."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, print_json, run_async, settings

if TYPE_CHECKING:
    from pathlib import Path


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        name="store",
        help="Bring the store up to date, check its books, move it to PostgreSQL.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("migrate")(migrate)
    group.command("check")(check)
    group.command("move")(move)
    app.add_typer(group)


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Bring the store's schema up to date, or make it.

    Every command that opens the store does this too. In PostgreSQL it takes the right to create tables: whoever has it
    runs this once after an upgrade, while workers of the release before go on.
    """
    from laneway.app import upkeep

    done = upkeep.migrate(_url(config, store, verbose), dry=dry_run)
    if as_json:
        print_json({**done._asdict(), "dry_run": dry_run})
    elif done.before == done.after:
        sys.stdout.write(f"{done.store} is up to date (schema {done.after})\n")
    else:
        verb = "would go" if dry_run else "went"
        sys.stdout.write(f"{done.store} {verb} from schema {done.before or 'none'} to {done.after}\n")


def check(
    config: ConfigOption = None, store: StoreOption = None, as_json: JsonOption = False, verbose: VerboseOption = 0
) -> None:
    """Compare the store's counters and sums with the rows that they count. Ends with 1 where something is wrong."""
    from laneway.app import upkeep

    url = _url(config, store, verbose)
    faults = run_async(upkeep.check(url))
    if as_json:
        print_json({"sound": not faults, "faults": faults})
    else:
        sys.stdout.write("\n".join(faults or ["sound"]) + "\n")
    if faults:
        raise typer.Exit(1)


def move(
    to: Annotated[str, typer.Argument(help="postgresql://user@host/database, without runs yet.", show_default=False)],
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Copy this project's SQLite store (--store) into PostgreSQL.

    Runs, tasks, results and costs go along; the same commands then go on with --store TO. While a worker lives this is
    refused. If it fails, nothing has changed on either side; afterwards the old store refuses to be used by mistake.
    """
    from laneway.app import upkeep

    done = upkeep.move(_url(config, store, verbose), to)
    if as_json:
        print_json(done)
        return
    sys.stdout.write(
        f"{done['tasks']:,} tasks of {done['runs']:,} runs with {done['results']:,} results went from {done['from']}"
        f" to {done['to']} in {done['seconds']:,.1f} s\n"
    )
    if done["returned"] or done["poisoned"]:
        sys.stdout.write(f"{done['returned']:,} whose worker had died are ready again, {done['poisoned']:,} given up\n")
    sys.stdout.write(f"go on with --store {done['to']}, or export LANEWAY_STORE={done['to']}\n")


def _url(config: list[Path] | None, store: str | None, verbose: int) -> str:
    from laneway.app.settings import store_url

    loaded, _ = settings(config, verbose)
    return store_url(store, loaded, os.environ)
