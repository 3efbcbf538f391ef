"""``laneway prune``: prompts and answers leave the store, the books stay."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


def register(app: typer.Typer) -> None:
    app.command("prune")(prune)


def prune(
    older_than: Annotated[
        str | None,
        typer.Option(help="Of tasks that ended longer ago: 30d, 12h, 0s (default: `keep`).", show_default=False),
    ] = None,
    run: Annotated[int | None, typer.Option(help="Only of this run.", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much it would be.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Take prompts, records, answers and words of errors of ended tasks out of the store.

    Keys, states, routes, usage and costs stay. A finished task is not paid again, but its answer is then in the results
    file only. Tasks that have not ended, or whose answers are not in their results file yet, keep their content.
    """
    lw = application(config, store, verbose)
    age = _age(lw, older_than)
    data = run_async(_prune(lw, age, run, dry_run))
    if as_json:
        print_json(data)
    else:
        sys.stdout.write(_text(data))


def _age(lw: Laneway, older_than: str | None) -> float:
    from laneway.config.models import parse_duration

    if older_than is None:
        if lw.config.keep is None:
            raise UsageError(
                "how old is old enough?",
                hint='give --older-than 30d, or set keep = "30d" in laneway.toml; 0s takes everything that has ended',
            )
        return lw.config.keep
    try:
        return parse_duration(older_than)
    except ValueError as error:
        raise UsageError(f"--older-than: {error}", hint="e.g. --older-than 30d") from None


async def _prune(lw: Laneway, age: float, run: int | None, dry: bool) -> dict[str, Any]:
    store, now = lw.store, lw.clock.now()
    try:
        if run is not None:
            await store.get_run(run)
        tasks = size = kept = 0
        at: int | None = 0
        while at is not None:
            done = await store.prune(now - age, run_id=run, after=at, dry=dry)
            tasks, size, kept, at = tasks + done.tasks, size + done.size, kept + done.kept, done.cursor
        files = await store.drop_uploads(now - age, dry=dry) if run is None else 0
        alone = not any(worker.lease_until > now for worker in await store.workers(now))
        clean = True if dry else await store.scrub(shrink=alone)
        return {
            "tasks": tasks,
            "bytes": size,
            "kept": kept,
            "files": files,
            "dry_run": dry,
            "shrunk": alone and not dry,
            "clean": clean,
        }
    finally:
        await lw.close()


def _text(data: dict[str, Any]) -> str:
    tasks = "1 task" if data["tasks"] == 1 else f"{data['tasks']:,} tasks"
    verb = "would lose" if data["dry_run"] else "lost"
    lines = [f"{tasks} {verb} their content, {data['bytes'] / 1e6:,.1f} MB in all; keys, states and costs stay"]
    if data["files"]:
        lines.append(
            f"{data['files']:,} files that clients of the service sent {'would go' if data['dry_run'] else 'are gone'}"
        )
    if data["kept"]:
        lines.append(
            f"{data['kept']:,} keep theirs: their answers are not in a results file yet; run the same command again"
        )
    if not data["dry_run"] and not data["shrunk"]:
        lines.append("the store keeps its size while workers live; without them, `laneway prune` gives the room back")
    if not data["clean"]:
        lines.append("somebody is reading the store, so that its log still holds traces; run this again later")
    return "\n".join(lines) + "\n"
