"""The store as the rest of Laneway sees it: domain verbs, each taking ``now``.

Every verb that changes something is one transaction; when it returns, its effect is durable. Verbs may be called from
one event loop; ``heartbeat`` is the exception (see there). Errors: StoreError when the database is locked, full,
damaged or gone; the verb then had no effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from laneway.store.asking import Asking
from laneway.store.budgets import NO_LIMITS, Budget, Limits, Spending
from laneway.store.cells import Backlog, CellTally, Head, Pick
from laneway.store.detours import Diverting
from laneway.store.feedback import Judging
from laneway.store.figures import PastCall, RunFigures
from laneway.store.filing import Filing
from laneway.store.flows import Flowing
from laneway.store.grants import Capacity, Demand, Grant
from laneway.store.keeping import Pruned
from laneway.store.news import News
from laneway.store.results import Result
from laneway.store.runs import Run, Sealed, Submitted
from laneway.store.steering import Change, Extent, Pause, PauseKind, Selector, Waiting
from laneway.store.tallies import Tallying
from laneway.store.tokens import Vouching
from laneway.store.views import Viewing
from laneway.store.webhooks import Announcing
from laneway.store.workers import Doing, Part, Reaped, WorkerInfo
from laneway.task import Attempt, Claimed, NewTask, Settlement, State, Task


class Store(Announcing, Asking, Diverting, Filing, Flowing, Judging, Tallying, Viewing, Vouching, Protocol):
    # runs ---------------------------------------------------------------------------------------------------------
    async def open_run(
        self,
        identity: str,
        *,
        info: Mapping[str, Any],
        max_cost: float | None,
        now: float,
        fresh: bool = False,
        join: bool = False,
    ) -> Run:
        """Start a new submission (generation) of the run with this identity. ``fresh`` forgets its earlier tasks;
        ``join`` takes a run that is there as it is. ``info``: whatever is to be kept about it; ``out`` is its results
        file, where it has one."""
        ...

    async def find_run(self, identity: str) -> Run | None: ...

    async def get_run(self, run_id: int) -> Run: ...

    async def runs(self, limit: int = 50) -> list[Run]: ...

    def submit(self, run: Run, tasks: Sequence[NewTask], now: float, *, held: bool = False) -> Awaitable[Submitted]:
        """Take tasks in bulk. ``held``: they stay ``triaging`` until the run is sealed. Known tasks (same key, same
        body) are kept; failed ones go again; a key that comes twice in one submission with another body is reported
        in ``conflicts`` and not taken."""
        ...

    def owns(self, connection: object, path: str) -> bool:
        """Whether this connection, to the database at ``path``, is one to this very store. Raises UsageError when it
        is, but of a library that must not be used on it."""
        ...

    def submit_within(self, connection: object, identity: str, tasks: Sequence[NewTask], now: float) -> Submitted:
        """``submit`` inside the caller's own transaction, through a connection that the store ``owns``: nothing is
        committed here. Opens the run where it is missing. Blocking; on the connection's own thread."""
        ...

    async def named(self, run: Run, keys: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Which of these keys the run has: (task id, hash of the request), of the latest submission each."""
        ...

    async def seal_run(self, run: Run, now: float) -> Sealed:
        """The submission is complete: its tasks may run; tasks that it does not name leave the run."""
        ...

    async def abandon_run(self, run: Run) -> None:
        """Forget what an unfinished submission brought; a run that had nothing before is gone."""
        ...

    async def end_budget(self, run_id: int) -> None:
        """The run stopped at its budget and said so: the next submission has a budget of its own."""
        ...

    async def save_cursor(self, run_id: int, cursor: int, offset: int) -> None: ...

    # the queue ----------------------------------------------------------------------------------------------------
    async def peek(
        self,
        now: float,
        *,
        depth: int,
        run_id: int | None = None,
        deeper: Mapping[int, int] | None = None,
        most: int | None = None,
    ) -> list[Head]:
        """Cells with ready tasks and the sizes of their next ``depth`` (more where that is known anyway); of one run,
        or of all. ``deeper``: depths of their own, by cell. ``most``: cells of one model, lane and urgency, those whose
        first task is due earliest. Cheap where little has changed since the last look."""
        ...

    async def wake(self, now: float) -> float | None:
        """Make waiting tasks ready whose time has come; tell when the next one's comes."""
        ...

    def claim(
        self, worker: str, picks: Sequence[Pick], now: float, limits: Limits = NO_LIMITS
    ) -> Awaitable[list[Claimed]]:
        """Take the next tasks of the cells, in the order of ``picks``, and write their attempts with what they
        reserve. Fewer come back where a cell has fewer, the run's budget would be passed, or a budget of the day
        (``limits``) is used up; tasks of a type whose budget is wait for the day's end (wait reason ``budget``)."""
        ...

    def settle(self, worker: str, settlements: Sequence[Settlement], now: float) -> Awaitable[list[bool]]:
        """Write outcomes. False where the fence was refused: the task belongs to somebody else by now. A task that
        succeeded has no error, even if its last call has one, and an earlier model's answer where ``model`` names it.
        Begun when it is called, where the store can: so that it shares a commit with the claim that follows."""
        ...

    async def settle_kept(self, run_id: int, now: float, limit: int = 500) -> int:
        """End tasks of a run that are ready or wait, and have an answer that was put aside for a stronger model's (the
        ``kept`` of a complaint), with that answer. Returns how many."""
        ...

    async def record_call(self, worker: str, attempt: Attempt, run_id: int, limits: Limits = NO_LIMITS) -> bool:
        """Open (``outcome`` None) or close a ledger line for a call made by a Python task. False: not opened, since
        the run's budget or one of the day is used up."""
        ...

    async def spending(self, now: float) -> dict[Budget, Spending]:
        """What the day of ``now`` has cost so far, by account, lane and type, and in all."""
        ...

    async def held_by_budget(self, run_id: int | None = None) -> dict[str, int]:
        """How many tasks wait for the budget of their type, by type."""
        ...

    async def release_held(self, limits: Limits, now: float) -> int:
        """Ready the tasks that wait for a budget of their type which was raised or taken away. Returns how many."""
        ...

    async def cancel(self, task_ids: Sequence[int], now: float) -> int:
        """Cancel tasks that have not started; flag those that run. Returns how many were changed."""
        ...

    async def retry(self, task_ids: Sequence[int], now: float) -> int:
        """Make failed or cancelled tasks ready again, but not pruned ones: a new submission brings those back. Returns
        how many were changed."""
        ...

    # steering -----------------------------------------------------------------------------------------------------
    async def pause(self, kind: PauseKind, name: str, now: float) -> bool:
        """Hold a lane, account or run until somebody resumes it. False when it was paused already."""
        ...

    async def resume(self, kind: PauseKind, name: str, now: float) -> bool:
        """Let it go on; an account also after a failure that paused it. False when nothing was paused."""
        ...

    async def pauses(self) -> list[Pause]:
        """What is paused, and what was once."""
        ...

    async def select(self, selector: Selector) -> list[int]:
        """The ids of the tasks that it describes, in order. Tasks that left their run are not found."""
        ...

    async def extent(self, selector: Selector) -> Extent: ...

    async def adjust(self, task_ids: Sequence[int], change: Change, now: float) -> int:
        """Change where tasks that have not ended go. One that runs takes a new model for its next try. Returns how many
        were changed."""
        ...

    async def waiting(self, run_id: int | None = None, *, aside: bool = False) -> list[Waiting]:
        """How many tasks wait for which reason. ``aside``: with what flows began."""
        ...

    # workers and shares -------------------------------------------------------------------------------------------
    async def join(self, worker: str, lease: float, now: float) -> None: ...

    def heartbeat(self, worker: str, lease: float, now: float) -> bool:
        """Extend the lease. Blocking; safe from any thread. False: the worker was declared dead."""
        ...

    async def leave(self, worker: str, now: float) -> None:
        """A clean end. Tasks still held go back to ready; their attempts are ``lost``."""
        ...

    async def reap(self, worker: str, now: float) -> Reaped:
        """Take back the tasks of dead workers: at once where death is certain, else when their lease has ended and
        ``worker`` itself has been connected for a whole lease. Those that answer to them are cancelled."""
        ...

    async def workers(self, now: float) -> list[WorkerInfo]: ...

    async def doing(self) -> list[Doing]:
        """What runs, by worker and lane. For people: it reads everything that is in flight."""
        ...

    async def parts(self, now: float) -> list[Part]:
        """How the accounts are shared, by worker and account."""
        ...

    async def renew_grants(
        self, worker: str, asks: Mapping[str, tuple[Capacity, Demand]], now: float, lease: float
    ) -> dict[str, Grant]:
        """This worker's parts of ``account:NAME``, ``lane:NAME``, ``duty:NAME`` by what ``grants.divide`` says. Parts
        never add up to more than the whole, also while they change hands."""
        ...

    async def save_state(self, name: str, state: Mapping[str, Any], now: float) -> None:
        """Keep a small JSON object (bucket levels, adaptive limits, pauses) under a name."""
        ...

    async def load_state(self, name: str) -> tuple[Mapping[str, Any], float] | None:
        """The object and when it was saved."""
        ...

    async def states(self, prefix: str) -> dict[str, tuple[Mapping[str, Any], float]]:
        """All saved objects whose name begins so: what follows the prefix → the object and when it was saved."""
        ...

    async def drop_states(self, prefix: str, before: float) -> int:
        """Forget those that were saved before a time. Returns how many."""
        ...

    # reading ------------------------------------------------------------------------------------------------------
    async def tally(self, run_id: int | None = None, *, aside: bool = False) -> list[CellTally]:
        """``aside``: with what flows began, and triage's questions."""
        ...

    async def backlog(self) -> Backlog: ...

    async def find_task(self, ref: str, run_id: int | None = None) -> Task:
        """By id, or by key (the latest one). Raises NotFoundError."""
        ...

    async def get_tasks(self, ids: Sequence[int]) -> list[Task]: ...

    async def attempts(self, task_id: int) -> list[Attempt]: ...

    async def results_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        """Ended tasks of the run in the order in which they were settled."""
        ...

    async def failed_after(self, run: Run, cursor: int, limit: int) -> list[Result]:
        """The same, only those that failed or were cancelled; a cursor of 0 begins with the run."""
        ...

    async def ended_after(self, cursor: int, limit: int) -> list[tuple[int, int]]:
        """(sequence number, task id) of tasks that ended after the cursor, of all runs, in order."""
        ...

    async def last_result(self) -> int:
        """The newest sequence number: a cursor that skips everything that has ended so far."""
        ...

    async def figures(self, run: Run, *, since: float | None = None) -> RunFigures:
        """The books of a run: all of it, or the attempts started since a time (groups always cover the whole run)."""
        ...

    async def known(self, run: Run, keys: Sequence[str]) -> Mapping[tuple[str, bytes], State]:
        """The tasks with these keys that the run has, by key and hash."""
        ...

    async def past_calls(self, model: str, limit: int) -> list[PastCall]:
        """The newest ended calls that tasks made of a model, the latest submitted tasks first."""
        ...

    # keeping ------------------------------------------------------------------------------------------------------
    async def prune(
        self, before: float, *, run_id: int | None = None, after: int = 0, limit: int = 1000, dry: bool = False
    ) -> Pruned:
        """Take the content (request, record, answer, words of errors) of tasks that ended before a time, looking at
        ``limit`` results from ``after`` on. States, keys, routes, usage and costs stay. Tasks that have not ended, or
        whose results have not reached their results file, keep theirs. ``dry``: change nothing."""
        ...

    async def pruned(self, run: Run) -> int:
        """How many answers of the run are not there any more."""
        ...

    async def scrub(self, *, shrink: bool) -> bool:
        """Let what was taken away leave the disk. ``shrink``: also give the room back, which holds writers up: only
        while no worker lives. False when readers were in the way."""
        ...

    @property
    def in_order(self) -> bool:
        """Whether ``submit`` and ``claim`` ask their writes with the call, before they are awaited, and these take
        effect in order, those of a moment in one commit: a claim right behind its submission is done with it."""
        ...

    @property
    def poll_s(self) -> float:
        """After how many seconds who waits for others looks by himself."""
        ...

    def listen(self, kind: News, heard: Callable[[], None]) -> Callable[[], None]:
        """Have ``heard`` called, from any thread, when another process announces such news. Returns what ends it. A
        store that announces nothing is polled often instead."""
        ...

    def time(self) -> float | None:
        """The time that all processes of the store go by, seconds since 1970; None: this machine's. Blocking."""
        ...

    async def changed(self) -> bool:
        """Whether another process has changed the store since the last call."""
        ...

    async def check(self) -> list[str]:
        """Faults found in the store's own books; empty when sound."""
        ...

    def forked(self) -> None:
        """In a forked child, at once: let go of the locks that came along. The store cannot be used there."""
        ...

    async def close(self) -> None: ...
