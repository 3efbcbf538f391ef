"""A forked child must not use what its parent has open: SQLite's locks, threads and event loops do not come along."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING

from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway


def watch_forks(lw: Laneway) -> None:
    """Tell the application when it finds itself in a forked child."""
    if not hasattr(os, "register_at_fork"):
        return
    known = weakref.ref(lw)

    def in_child() -> None:
        if (here := known()) is not None:
            here.after_fork()

    os.register_at_fork(after_in_child=in_child)


def forked() -> UsageError:
    return UsageError(
        "this process was forked while Laneway's store was open: SQLite cannot be carried over a fork",
        hint="close it before forking (lw.sync.close()), use it only after the fork (gunicorn's post_fork, Celery's"
        ' worker_process_init), or start processes by "spawn"',
    )
