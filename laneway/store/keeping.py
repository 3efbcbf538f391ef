"""What is said when content is taken away after its time."""

from __future__ import annotations

from typing import NamedTuple

from laneway.errors import ConflictError

PRUNED = "[pruned]"  # where an error's words were


class Pruned(NamedTuple):
    """What one batch took away, or would."""

    tasks: int
    size: int  # bytes of content
    kept: int  # tasks that are old enough, but whose results are not in their results file yet
    cursor: int | None  # where the next batch begins; None: this was the last


def answers_pruned(n: int, out: str = "the results file") -> ConflictError:
    """A results file can only be appended to when its earlier lines are not in the store any more."""
    answers = "the answer of 1 finished task" if n == 1 else f"the answers of {n:,} finished tasks"
    return ConflictError(
        f"{out} would have to be written anew, and {answers} were pruned from the store; nothing was changed or sent",
        hint="give the same input and the results file as they were, or another file with -o for the new tasks alone;"
        " --fresh does everything again and pays for it",
    )
