"""``laneway triage train --from-store``: learning from what people said, and from what models made of their tasks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from laneway.cli.common import application, run_async
from laneway.errors import InputError, UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.lessons import Lessons
    from laneway.learning.examples import Table

NAME = "the store"
QUALITY = "quality:"


def table_of_store(
    config: list[Path] | None, store: str | None, verbose: int, about: str | None, since: str | None
) -> Table:
    """What the store teaches of a label, or of outcomes; says on stderr how much that is and what is missing. Raises
    InputError where it is nothing."""
    lw = application(config, store, verbose)
    lessons = run_async(_lessons(lw, about, since))
    sys.stderr.write(_found_text(lessons, about))
    if not lessons.rows:
        how = f"laneway feedback TASK LABEL --field {about}" if about else "laneway feedback TASK good|bad"
        raise InputError(
            f"the store has no {about + ' labels' if about else 'outcomes'} to learn from yet",
            hint=f"{how}; or try two models on a sample: laneway triage pilot FILE",
        )
    return _table(lessons)


async def _lessons(lw: Laneway, about: str | None, since: str | None) -> Lessons:
    from laneway.app.lessons import check_hidden, labels, outcomes
    from laneway.store.feedback import About

    try:
        check_hidden(lw)
        after = 0.0 if since is None else _since(lw, since)
        return await (outcomes(lw, after) if about is None else labels(lw, About(about), after))
    finally:
        await lw.close()


def _since(lw: Laneway, text: str) -> float:
    """``30d``: so long ago; else a point in time."""
    from laneway.app.moments import moment
    from laneway.config.models import parse_duration

    try:
        return lw.clock.now() - parse_duration(text)
    except ValueError:
        return moment(text, lw.clock.now())


def _found_text(lessons: Lessons, about: str | None) -> str:
    lines = [f"{len(lessons.rows):,} {'labelled texts' if about else 'texts with outcomes'} in the store"]
    lines += [f"  {name}: {n:,}" for name, n in sorted(lessons.found.items())]
    lines += [f"  left out, {why}: {n:,}" for why, n in lessons.left_out.items()]
    if about is None:
        models = _models(lessons.rows)
        both = sum(sum(name.startswith(QUALITY) for name in row) > 1 for row in lessons.rows)
        lines.append(f"  texts with outcomes of several models: {both:,} (`laneway triage pilot` makes such)")
        if lessons.rows and len(models) < 2:
            raise UsageError(
                f"the store knows only how {models[0]} did: there is nothing to choose from",
                hint="try a second model on a sample: laneway triage pilot FILE",
            )
    return "\n".join(lines) + "\n"


def _models(rows: Sequence[Mapping[str, object]]) -> list[str]:
    return sorted({name.removeprefix(QUALITY) for row in rows for name in row if name.startswith(QUALITY)})


def _table(lessons: Lessons) -> Table:
    from laneway.learning.examples import Table

    columns = list(dict.fromkeys(name for row in lessons.rows for name in row))
    return Table(NAME, lessons.rows, list(range(1, len(lessons.rows) + 1)), columns)
