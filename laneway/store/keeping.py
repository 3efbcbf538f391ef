"""What is said when content is taken away after its time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from laneway.errors import ConflictError

PRUNED = "[pruned]"  # where an error's words were


class Pruned(NamedTuple):
    """What one batch took away, or would."""

    tasks: int
    size: int  # bytes of content
    kept: int  # tasks that are old enough, but whose results are not in their results file yet
    cursor: int | None  # where the next batch begins; None: this was the last


def examine(
    shelved: Iterable[tuple[Any, ...]],
    ended: Iterable[tuple[Any, ...]],
    before: float,
    run_id: int | None,
    after: int,
    limit: int,
) -> tuple[Pruned, list[int]]:
    """What a batch would take away, and from which tasks. ``shelved``: (id, size) of those that left their run
    unanswered; ``ended``: up to ``limit`` results after ``after`` as (seq, task, settled at, whether it has content,
    whether that reached its results file, size, run), in order."""
    ids: list[int] = []
    size = kept = looked = 0
    cursor: int | None = after
    for id_, length in shelved:
        ids.append(id_)
        size += length
    for seq, id_, settled_at, full, delivered, length, of_run in ended:
        if settled_at >= before:
            break
        looked, cursor = looked + 1, seq
        if full and run_id in (None, of_run):
            kept += not delivered
            if delivered:
                ids.append(id_)
                size += length
    return Pruned(len(ids), size, kept, cursor if looked == limit else None), ids


def answers_pruned(n: int, out: str = "the results file") -> ConflictError:
    """A results file can only be appended to when its earlier lines are not in the store any more."""
    answers = "the answer of 1 finished task" if n == 1 else f"the answers of {n:,} finished tasks"
    return ConflictError(
        f"{out} would have to be written anew, and {answers} were pruned from the store; nothing was changed or sent",
        hint="give the same input and the results file as they were, or another file with -o for the new tasks alone;"
        " --fresh does everything again and pays for it",
    )
