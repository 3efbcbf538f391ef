"""``laneway feedback``: what a person says about tasks afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async
from laneway.cli.steer import ASKED_ABOVE, RunOption, WhereOption, YesOption
from laneway.errors import InputError, UsageError

if TYPE_CHECKING:
    from laneway.app.feedback import Said
    from laneway.app.laneway import Laneway
    from laneway.intake.tables import Row
    from laneway.store.feedback import About


class Field(StrEnum):
    quality = "quality"
    category = "category"
    urgency = "urgency"
    complexity = "complexity"


def register(app: typer.Typer) -> None:
    app.command("feedback")(feedback)


def feedback(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Ids or keys of tasks, or run NUMBER; then the word: good, bad, or a label.",
            metavar="TASK… good|bad|LABEL",
            show_default=False,
        ),
    ] = None,
    field: Annotated[Field | None, typer.Option("--field", help="What a label says.", show_default="category")] = None,
    note: Annotated[str | None, typer.Option(help="Why, in your words.", show_default=False)] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", help="Many: a table with `task` (or a key) and `feedback`.", show_default=False),
    ] = None,
    run: RunOption = None,
    where: WhereOption = None,
    yes: YesOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Say whether an answer was good or bad, or what a task really was: laneway feedback 17 bad, laneway feedback
    t-4 fraud --field category.

    The last word about a task counts. `laneway triage train --from-store` learns from them.
    """
    lw = application(config, store, verbose)
    about = None if field is None else field.value
    if file is not None:
        if words or where:
            raise UsageError("--file says by itself which tasks", hint="leave the tasks and --where away")
        said = run_async(_of_file(lw, file, about, note, run))
        _report(said, "word", as_json)
        return
    if not words:
        raise UsageError("what is to be said?", hint="laneway feedback TASK good, or bad, or a label")
    *tasks, word = words
    from laneway.app.feedback import word_of

    meant, value = word_of(lw.config, word, about)
    ask = not (yes or as_json) and sys.stdin.isatty() and sys.stderr.isatty()
    said = run_async(_of_tasks(lw, tasks, meant, value, note, run, where or [], ask=ask))
    _report(said, f"{meant.value} = {value}", as_json)


async def _of_tasks(
    lw: Laneway,
    tasks: list[str],
    about: About,
    value: str,
    note: str | None,
    run: int | None,
    where: list[str],
    *,
    ask: bool,
) -> Said:
    from laneway.app.choosing import choose
    from laneway.app.feedback import Said, say, say_one

    try:
        if len(tasks) == 1 and run is None and not where and not tasks[0].startswith("run:"):
            await say_one(lw, tasks[0], value, about.value, note)
            return Said(1, 0)
        selector = await choose(lw, tasks, run, where)
        n = (await lw.store.extent(selector)).tasks
        if ask and n > ASKED_ABOVE and not typer.confirm(f"{about.value} = {value} for {n:,} tasks?", err=True):
            return Said(0, 0)
        return await say(lw, selector, about, value, note)
    finally:
        await lw.close()


async def _of_file(lw: Laneway, name: str, field: str | None, note: str | None, run: int | None) -> Said:
    from laneway.app.feedback import say_rows
    from laneway.intake.reading import rows
    from laneway.intake.source import Source

    source = Source(name)
    try:
        return await say_rows(lw, _sound(source.name, rows(source)), field, note, run)
    finally:
        source.close()
        await lw.close()


def _sound(name: str, rows: Iterator[Row | object]) -> Iterator[Row]:
    from laneway.intake.draft import BadLine

    for row in rows:
        if isinstance(row, BadLine):
            raise InputError(f"{name}, {row.place}: {row.reason}", hint="nothing was kept; correct it and try again")
        if isinstance(row, tuple):
            yield row


def _report(said: Said, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"kept": said.words, "unanswered": said.unanswered})
        return
    tasks = "1 task" if said.words == 1 else f"{said.words:,} tasks"
    sys.stdout.write(f"{what} kept for {tasks}\n")
    if said.unanswered:
        sys.stdout.write(f"{said.unanswered:,} left out: they have no answer that could be good or bad\n")
