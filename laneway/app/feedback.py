"""What people say about tasks afterwards: checked, and kept for ``laneway triage train --from-store``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from laneway.errors import InputError, LanewayError, NotFoundError, UsageError
from laneway.store.feedback import BAD, GOOD, About, Feedback
from laneway.store.steering import Selector, literal
from laneway.task import State
from laneway.triage.rules import COMPLEXITIES

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.config.models import Config
    from laneway.intake.tables import Row

LONGEST_LABEL = 200  # characters
LONGEST_NOTE = 2_000
CHUNK = 1_000  # words kept in one transaction
TASK_COLUMN = "task"
_JUDGEMENTS = {"good": GOOD, "true": GOOD, "yes": GOOD, "1": GOOD, "bad": BAD, "false": BAD, "no": BAD, "0": BAD}


class Said(NamedTuple):
    """What became of it."""

    words: int  # kept
    unanswered: int  # left out: without an answer nothing can be good or bad


def word_of(config: Config, word: str, field: str | None) -> tuple[About, str]:
    """What a word is about, and how it is kept: ``good`` and ``bad`` are about the answer; any other is a category
    unless ``field`` says what it is. Raises UsageError."""
    said = word.strip()
    if field is None and said.casefold() not in (GOOD, BAD):
        _guard_typing_errors(said)
    about = About(field) if field else About.QUALITY if said.casefold() in (GOOD, BAD) else About.CATEGORY
    if not said or len(said) > LONGEST_LABEL:
        raise UsageError(
            f"a label has 1 to {LONGEST_LABEL} characters", hint="e.g. laneway feedback 17 fraud --field category"
        )
    if about is About.QUALITY:
        if said.casefold() not in _JUDGEMENTS:
            raise UsageError(f"{said!r} is no judgement of an answer", hint="say good or bad")
        return about, _JUDGEMENTS[said.casefold()]
    if about is About.URGENCY:
        try:
            return about, config.urgency_of(said).label
        except ValueError as error:
            raise UsageError(str(error), hint="or add the word to an urgency's aliases in laneway.toml") from None
    if about is About.COMPLEXITY and said.casefold() not in COMPLEXITIES:
        raise UsageError(f"{said!r} is no complexity", hint=f"say {', '.join(COMPLEXITIES)}")
    return about, said.casefold() if about is About.COMPLEXITY else said


def _guard_typing_errors(said: str) -> None:
    if near := difflib.get_close_matches(said.casefold(), (GOOD, BAD), 1):
        raise UsageError(
            f"{said!r}: was that meant to be {near[0]!r}?",
            hint=f"say {near[0]}, or --field category if it is the task's category",
        )


async def say(lw: Laneway, selector: Selector, about: About, value: str, note: str | None) -> Said:
    """The same word about all chosen tasks; of those without an answer no judgement is kept."""
    note = _noted(note)
    chosen = await lw.store.select(selector)
    meant = chosen
    if about is About.QUALITY:
        answered = () if selector.states and State.SUCCEEDED not in selector.states else (State.SUCCEEDED,)
        meant = await lw.store.select(selector._replace(states=answered)) if answered else []
    kept = await _keep(lw, (Feedback(id_, about, value, note) for id_ in meant))
    return Said(kept, len(chosen) - len(meant))


async def say_one(lw: Laneway, ref: str, word: str, field: str | None, note: str | None) -> None:
    """Raises NotFoundError, and UsageError for what cannot be said about this task."""
    about, value = word_of(lw.config, word, field)
    task = await lw.store.find_task(ref)
    if about is About.QUALITY and task.state is not State.SUCCEEDED:
        raise UsageError(
            f"task {task.id} has no answer that could be {value}: it is {task.state.value}",
            hint="category, urgency and complexity can be said of any task: --field category",
        )
    await lw.store.judge([Feedback(task.id, about, value, _noted(note))], lw.clock.now())


async def say_rows(lw: Laneway, rows: Iterable[Row], field: str | None, note: str | None, run: int | None) -> Said:
    """A row for each word: the task by its id or key under ``task``, else by its key under custom_id, id or key; the
    word under the field's own name, else ``feedback`` or ``label``; a note under ``note``. All rows, or InputError."""
    words: list[Feedback] = []
    faults: list[str] = []
    for line, _, row in rows:
        try:
            words.append(await _word_in(lw, row, field, note, run))
        except LanewayError as error:
            faults.append(f"line {line:,}: {error.message}")
    if faults:
        more = f", and {len(faults) - 3:,} more" if len(faults) > 3 else ""
        raise InputError("; ".join(faults[:3]) + more, hint="nothing was kept; correct the file and give it again")
    judged = [word.task_id for word in words if word.about is About.QUALITY]
    answered = set(await lw.store.select(Selector(ids=tuple(judged), states=(State.SUCCEEDED,)))) if judged else set()
    meant = [word for word in words if word.about is not About.QUALITY or word.task_id in answered]
    return Said(await _keep(lw, meant), len(words) - len(meant))


async def _word_in(
    lw: Laneway, row: Mapping[str, Any], field: str | None, note: str | None, run: int | None
) -> Feedback:
    column = next((name for name in (field, "feedback", "label") if name and row.get(name) not in (None, "")), None)
    if column is None:
        raise UsageError(f"no word under {field or 'feedback'}")
    about, value = word_of(lw.config, str(row[column]), field)
    own = row.get("note")
    return Feedback(await _task_in(lw, row, run), about, value, _noted(str(own) if own else note))


async def _task_in(lw: Laneway, row: Mapping[str, Any], run: int | None) -> int:
    from laneway.intake.records import KEY_FIELDS

    if row.get(TASK_COLUMN) not in (None, ""):
        return (await lw.store.find_task(str(row[TASK_COLUMN]), run)).id
    for name in KEY_FIELDS:
        if row.get(name) not in (None, ""):
            ids = await lw.store.select(Selector(keys=(literal(str(row[name])),), run_id=run))
            if not ids:
                raise NotFoundError(f"there is no task with the key {row[name]!r}")
            return ids[-1]
    raise UsageError(f"no task under {TASK_COLUMN}, {', '.join(KEY_FIELDS)}")


async def _keep(lw: Laneway, words: Iterable[Feedback]) -> int:
    left = list(words)
    return sum(
        [await lw.store.judge(left[at : at + CHUNK], lw.clock.now()) for at in range(0, len(left), CHUNK)],
    )


def _noted(note: str | None) -> str | None:
    if note is not None and len(note) > LONGEST_NOTE:
        raise UsageError(f"a note has at most {LONGEST_NOTE:,} characters")
    return note or None
