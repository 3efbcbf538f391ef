"""A real server that restarts, crashes, throws out its clients or has no room for them: workers wait and go on, every
task is claimed once and ends once."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import psycopg
import pytest

from benchmarks.postgres import PostgresServer
from laneway.errors import StoreError
from laneway.store.cells import Pick
from laneway.store.interface import Store
from laneway.store.postgres import PostgresStore
from laneway.store.postgres.connection import connect_first
from laneway.store.postgres.transaction import Transaction, Transactions
from laneway.store.runs import Run
from laneway.store.writer import GoneError, Writer
from laneway.task import State
from tests.store.helpers import counts, new, run_with, settlement, sound

LEASE_S = 600.0  # nobody is taken for dead here: what is claimed twice was lost by the store
AT_ONCE = 5
THROW_OUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
Fault = Callable[[PostgresServer], object]


def throw_out(server: PostgresServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as db:
        db.execute(THROW_OUT)


def crash(server: PostgresServer) -> None:
    server.kill()
    server.start()


@asynccontextmanager
async def stores(server: PostgresServer, n: int = 1, **options: Any) -> AsyncIterator[list[PostgresStore]]:
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(n):
            opened.append(PostgresStore(server.url(), **options))
            stack.push_async_callback(opened[-1].close)
        yield opened


@contextmanager
def hearing(words: str) -> Iterator[asyncio.Event]:
    """An event that is set when the store says so."""
    heard, loop, log = asyncio.Event(), asyncio.get_running_loop(), logging.getLogger("laneway.store")

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if words in record.getMessage():
                loop.call_soon_threadsafe(heard.set)

    ear = Ear()
    log.addHandler(ear)
    try:
        yield heard
    finally:
        log.removeHandler(ear)


def as_many_as_it_has_room_for(server: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    while True:
        try:
            yield psycopg.connect(server.url())
        except psycopg.OperationalError as error:
            if "too many" in str(error):
                return
            raise


class Load:
    """Workers that claim and settle until everything has ended."""

    def __init__(self, run: Run, tasks: int) -> None:
        self.run = run
        self.tasks = tasks
        self.calls: Counter[int] = Counter()  # by task; each would have been paid
        self.ended = 0
        self._moved = asyncio.Condition()

    async def work(self, store: Store, worker: str) -> None:
        await store.join(worker, LEASE_S, time.time())
        while self.ended < self.tasks:
            heads = await store.peek(time.time(), depth=AT_ONCE, run_id=self.run.id)
            picks = [Pick(head.cell_id, AT_ONCE, "main", 1.0, 1.0) for head in heads]
            claimed = await store.claim(worker, picks, time.time())
            self.calls.update(task.id for task in claimed)
            if claimed:
                assert all(await store.settle(worker, [settlement(task) for task in claimed], time.time()))
            async with self._moved:
                self.ended += len(claimed)
                self._moved.notify_all()

    async def until(self, ended: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self.ended >= min(ended, self.tasks))


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(lambda server: server.restart("fast"), id="restarts"),
        pytest.param(lambda server: server.restart("immediate"), id="ends without tidying up"),
        pytest.param(crash, id="crashes"),
        pytest.param(throw_out, id="drops connections"),
    ],
)
async def test_under_load_each_task_is_claimed_and_ends_once(postgres_server: PostgresServer, fault: Fault) -> None:
    tasks, faults = 300, 3
    async with stores(postgres_server, 2) as (one, other):
        run = await run_with(one, [new(f"t{i}") for i in range(tasks)])
        load = Load(run, tasks)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for store, worker in ((one, "a"), (one, "b"), (other, "c"), (other, "d")):
                group.create_task(load.work(store, worker))
            for i in range(faults):
                await load.until((i + 1) * tasks // (faults + 2))
                await asyncio.to_thread(fault, postgres_server)
        assert set(load.calls.values()) == {1}
        assert len(load.calls) == tasks
        results = await one.results_after(run, 0, 2 * tasks)
        assert sorted(result.task_id for result in results) == sorted(load.calls)
        assert await counts(one, run) == {State.SUCCEEDED: tasks}
        await sound(one)


async def test_a_database_that_isolates_strictly_by_default(postgres_server: PostgresServer) -> None:
    tasks = 200
    postgres_server.restart(default_transaction_isolation="serializable")
    async with stores(postgres_server, 2) as (one, other):
        run = await run_with(one, [new(f"t{i}") for i in range(tasks)])
        load = Load(run, tasks)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for store, worker in ((one, "a"), (other, "b")):
                group.create_task(load.work(store, worker))
        assert set(load.calls.values()) == {1}
        await sound(one)


async def test_an_outage_is_waited_for(postgres_server: PostgresServer) -> None:
    async with stores(postgres_server) as (store,):
        run = await run_with(store, [new("a")])
        postgres_server.stop()
        with hearing("trying again until it is back") as waits, hearing("the store is back after") as goes_on:
            asked = asyncio.gather(
                store.save_state("limits", {"rate": 1}, 1.0), store.submit(run, [new("b")], 1.0), store.tally(run.id)
            )
            await asyncio.wait_for(waits.wait(), 30)
            assert not asked.done()
            with pytest.raises(StoreError):  # it never waits: a lease is not to be prolonged late
                await asyncio.to_thread(store.heartbeat, "w", LEASE_S, 1.0)
            postgres_server.start()
            _, submitted, tallies = await asyncio.wait_for(asked, 30)
            await asyncio.wait_for(goes_on.wait(), 30)
        assert submitted.new == 1
        assert sum(tallies[0].counts.values()) in (1, 2)
        assert await store.load_state("limits") == ({"rate": 1}, 1.0)


async def test_an_outage_longer_than_patience_is_told(postgres_server: PostgresServer) -> None:
    async with stores(postgres_server, patience_s=0.3) as (store,):
        postgres_server.stop()
        with pytest.raises(GoneError, match="cannot be used") as caught:
            await store.save_state("limits", {}, 1.0)
        assert "goes on where it stopped" in str(caught.value.hint)
        postgres_server.start()
        await store.save_state("limits", {"rate": 2}, 2.0)
        assert await store.load_state("limits") == ({"rate": 2}, 2.0)


async def test_patience_is_had_once_for_all_that_wait_together() -> None:
    asked: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def run_all(operations: Sequence[Callable[[None], Any]]) -> list[Any]:
        asked.append(len(operations))
        begun.set()
        go_on.wait(30)
        raise GoneError("away")

    writer: Writer[None] = Writer(run_all)
    first = writer.write(lambda _: None)
    await asyncio.to_thread(begun.wait, 30)
    others = [writer.write(lambda _: None) for _ in range(3)]
    go_on.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(answer) for answer in answers] == [GoneError] * 4
    assert asked == [1, 3]
    writer.close()


async def test_too_many_connections_are_waited_for(postgres_server: PostgresServer) -> None:
    async with stores(postgres_server) as (store,):
        await store.save_state("limits", {"rate": 1}, 1.0)
        postgres_server.restart(max_connections=12, superuser_reserved_connections=0, autovacuum="off")
        others = list(as_many_as_it_has_room_for(postgres_server))
        with hearing("trying again until it is back") as waits:
            asked = asyncio.create_task(store.save_state("limits", {"rate": 2}, 2.0))
            await asyncio.wait_for(waits.wait(), 30)
            for other in others:
                other.close()
            await asyncio.wait_for(asked, 30)
        assert await store.load_state("limits") == ({"rate": 2}, 2.0)


class Unanswered:
    """A connection on which the next commit goes through, but its answer does not come."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self.lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """In which sums and commit are sent."""
        with self._db.pipeline():
            yield
        if not self.lost:
            self.lost = True
            self._db.close()
            raise psycopg.OperationalError("the connection is lost")


def bump(tx: Transaction) -> int:
    """Adds one to a number, and returns it."""
    found = tx.db.execute("UPDATE number SET n = n + 1 RETURNING n").fetchone()
    assert found is not None
    return int(found[0])


@pytest.fixture
def transactions(postgres_server: PostgresServer) -> Iterator[Transactions]:
    """Of somebody who counts in a table ``number``, and has come to 1."""
    url = postgres_server.url()
    made = Transactions(url, [connect_first(url)], 60.0, lambda _: None)
    with psycopg.connect(url) as db:
        db.execute("CREATE TABLE number AS SELECT 0 AS n")
    assert made.run_all([bump]) == [1]
    yield made
    made.close()


def test_what_was_committed_without_an_answer_is_not_done_again(transactions: Transactions) -> None:
    transactions._db = Unanswered(transactions._db)  # type: ignore[assignment]
    assert transactions.run_all([bump]) == [2]
    assert transactions.run_all([bump]) == [3]


def test_what_a_crash_undid_is_done_again_although_its_number_is_taken(
    transactions: Transactions, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that crashes forgets the numbers of transactions that were not on its disk, and gives them to others."""
    flush, begun = Transaction.flush, []

    def crash_before_the_commit(tx: Transaction) -> None:
        flush(tx)
        begun.append(tx.number)
        if len(begun) == 1:
            crash(postgres_server)
            with psycopg.connect(postgres_server.url()) as db:
                taken = db.execute("CREATE TABLE other AS SELECT pg_current_xact_id()::text AS id").rowcount
                assert taken == 1
                assert db.execute("SELECT id FROM other").fetchone() == (str(tx.number),)

    monkeypatch.setattr(Transaction, "flush", crash_before_the_commit)
    assert transactions.run_all([bump]) == [2]
    assert len(begun) == 2
    with psycopg.connect(postgres_server.url()) as db:
        assert db.execute("SELECT n FROM number").fetchone() == (2,)
