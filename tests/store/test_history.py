"""Random histories against a small model: no task is lost, none is done twice, every counter is right."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from laneway.store.cells import Pick
from laneway.store.heads import Heads
from laneway.store.runs import Run, Submitted
from laneway.store.sqlite import SQLiteStore
from laneway.store.sqlite.connection import connect
from laneway.store.sqlite.heads import HeadSource
from laneway.store.steering import Change, Selector
from laneway.task import Claimed, NewTask, State, Urgency
from tests.store.helpers import LEASE, NOW, finish, new, open_run

KEYS = st.sampled_from("abcdefgh")


class History(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.store = SQLiteStore(self.folder / "store.db", inline=True)
        self.looker = SQLiteStore(self.folder / "store.db", inline=True)  # as another process sees it
        self.db = connect(self.folder / "store.db")
        self.now = NOW
        self.bodies: dict[str, str] = {}  # the run as last sealed
        self.done: set[tuple[str, str]] = set()  # (key, body) answered
        self.given: set[tuple[int, str]] = set()  # (run, key) that somebody had paid before it was submitted there
        self.held: list[Claimed] = []
        self.worker = 0
        self.do(self.store.join("w0", LEASE, self.now))
        self.run = self.do(open_run(self.store))
        self.do(self.store.seal_run(self.run, self.now))

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    async def submitted(self, run: Run, tasks: Sequence[NewTask]) -> Submitted:
        return await self.store.submit(run, tasks, self.now, held=True)  # begun when it is called, on a loop

    async def claimed(self, pick: Pick) -> list[Claimed]:
        return await self.store.claim(f"w{self.worker}", [pick], self.now)

    @rule(tasks=st.dictionaries(KEYS, st.sampled_from(["1", "2"]), min_size=1))
    def submit_anew(self, tasks: dict[str, str]) -> None:
        self.run = self.do(open_run(self.store))
        self.do(self.submitted(self.run, [new(k, b) for k, b in tasks.items()]))
        self.do(self.store.seal_run(self.run, self.now))
        self.run = self.do(self.store.get_run(self.run.id))
        self.bodies = dict(tasks)

    @rule(tasks=st.dictionaries(KEYS, st.just("3"), min_size=1))
    def submit_and_give_up(self, tasks: dict[str, str]) -> None:
        run = self.do(open_run(self.store))
        self.do(self.submitted(run, [new(k, b) for k, b in tasks.items()]))
        self.do(self.store.abandon_run(run))

    @rule(tasks=st.dictionaries(KEYS, st.sampled_from(["1", "2"]), min_size=1), data=st.data())
    def submit_elsewhere(self, tasks: dict[str, str], data: st.DataObject) -> None:
        if self.done:
            tasks |= dict(data.draw(st.sets(st.sampled_from(sorted(self.done)))))
        run = self.do(open_run(self.store, f"other {len(self.do(self.store.runs()))}"))
        rows = [new(k, b, dedupe_for=1e9) for k, b in tasks.items()]
        self.do(self.submitted(run, rows))
        self.do(self.store.seal_run(run, self.now))
        self.do(self.store.wake(self.now))
        self.given |= {(run.id, k) for k, b in tasks.items() if (k, b) in self.done}

    @rule(n=st.integers(1, 5))
    def claim(self, n: int) -> None:
        for head in self.do(self.store.peek(self.now, depth=n)):
            claimed = self.do(self.claimed(Pick(head.cell_id, n)))
            for task in claimed:
                if task.run_id == self.run.id:
                    assert (task.key, task.body.decode()) not in self.done, "an answered task was claimed again"
                assert (task.run_id, task.key) not in self.given, "what was paid elsewhere was claimed here"
            self.held += claimed

    @rule(state=st.sampled_from([State.SUCCEEDED, State.SUCCEEDED, State.FAILED]))
    def work(self, state: State) -> None:
        self.claim(5)
        for task in list(self.held):
            self.end(task, state)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), state=st.sampled_from([State.SUCCEEDED, State.FAILED, State.READY, State.WAITING]))
    def settle(self, data: st.DataObject, state: State) -> None:
        self.end(data.draw(st.sampled_from(self.held)), state)

    def end(self, task: Claimed, state: State) -> None:
        self.held.remove(task)
        more = {"wake_at": self.now + 5} if state is State.WAITING else {}
        (accepted,) = self.do(finish(self.store, [task], state, worker=f"w{self.worker}", **more))
        assert accepted
        if state is State.SUCCEEDED and task.run_id == self.run.id:
            self.done.add((task.key or "", task.body.decode()))

    @rule(seconds=st.sampled_from([1.0, 6.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.store.heartbeat(f"w{self.worker}", LEASE, self.now)
        self.do(self.store.wake(self.now))

    @rule()
    def the_worker_dies(self) -> None:
        dead, self.worker = f"w{self.worker}", self.worker + 1
        self.do(self.store.join(f"w{self.worker}", LEASE, self.now))
        self.now += LEASE + 1
        self.store.heartbeat(f"w{self.worker}", LEASE, self.now)
        assert dead in self.do(self.store.reap(f"w{self.worker}", self.now)).workers
        held, self.held = self.held, []
        if held:
            assert not any(self.do(finish(self.store, held, worker=dead)))

    @rule(key=KEYS)
    def retry(self, key: str) -> None:
        self.do(
            self.store.retry([r.task_id for r in self.do(self.store.failed_after(self.run, 0, 99)) if r.key == key], 0)
        )

    @rule(
        state=st.sampled_from(list(State)),
        change=st.builds(
            Change,
            st.sampled_from([None, Urgency.URGENT]),
            st.sampled_from([None, "legal"]),
            st.sampled_from([None, "strong", "best"]),
        ),
    )
    def set_by_hand(self, state: State, change: Change) -> None:
        chosen = self.do(self.store.select(Selector(run_id=self.run.id, states=(state,))))
        changed = self.do(self.store.adjust(chosen, change, self.now))
        assert changed == (0 if state.ended else len(chosen))

    @rule(keys=st.sets(KEYS, max_size=3))
    def cancel(self, keys: set[str]) -> None:
        chosen = self.do(self.store.select(Selector(run_id=self.run.id, keys=tuple(keys) or ("none",))))
        self.do(self.store.cancel(chosen, self.now))

    @invariant()
    def the_books_are_sound(self) -> None:
        assert self.do(self.store.check()) == []

    @invariant()
    def everybody_sees_the_same_heads(self) -> None:
        truth = Heads(None).look(HeadSource(self.db), 99, {})
        for store in (self.store, self.looker):
            kept = {head.cell_id: head for head in self.do(store.peek(self.now, depth=99))}
            assert kept == {head.cell_id: head for head in truth}

    @invariant()
    def every_task_of_the_run_is_there_once(self) -> None:
        if self.do(self.store.get_run(self.run.id)).sealed:
            tally = self.do(self.store.tally(self.run.id))
            assert sum(n for cell in tally for n in cell.counts.values()) == len(self.bodies)

    @invariant()
    def results_are_there_once_each(self) -> None:
        keys = [r.key for r in self.do(self.store.results_after(self.run, 0, 99))]
        assert len(keys) == len(set(keys))

    def teardown(self) -> None:
        self.do(self.store.close())
        self.do(self.looker.close())
        self.db.close()
        self.loop.close()
        shutil.rmtree(self.folder)


TestHistory = History.TestCase
TestHistory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
