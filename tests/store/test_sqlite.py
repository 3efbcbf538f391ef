"""What is SQLite's own: plans, grouped commits, other processes, and everything that can befall a file."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import orjson
import pytest

from laneway.errors import StoreError
from laneway.store.cells import Pick
from laneway.store.sqlite import (
    SQLiteStore,
    connection,
    earlier,
    heads,
    queue,
    reading,
    settling,
    sharing,
    steering,
    workers,
)
from laneway.store.sqlite.submitting import KNOWN
from laneway.store.sqlite.transaction import Transaction
from laneway.store.steering import Change, Selector
from laneway.task import State
from tests.store.helpers import LEASE, NOW, claim, counts, finish, new, open_run, run_with, settlement, sound

ROWS = 50_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with 50,000 tasks in four cells."""
    path = tmp_path_factory.mktemp("large") / "store.db"

    async def fill() -> None:
        store = SQLiteStore(path)
        run = await open_run(store)
        for at in range(0, ROWS, 5000):
            await store.submit(run, [new(str(i), due=NOW + i) for i in range(at, at + 5000)], NOW, held=True)
        await store.seal_run(run, NOW)
        await store.close()

    asyncio.run(fill())
    return path


@pytest.mark.parametrize(
    ("sql", "bindings", "index"),
    [
        (heads.SIZES, (1, 10), "task_ready"),
        (heads.CHANGED, (7,), "cell_changed"),
        (queue.TAKE, ("w", NOW, NOW, 1, 10), "task_ready"),
        (queue.DUE, (NOW,), "task_waiting"),
        (queue.NEXT_WAKE, (), "task_waiting"),
        (workers.HELD, ("w",), "task_running"),
        (KNOWN, (1, '["7"]'), "task_identity"),
        (f"{reading._TASK} WHERE t.key = ? ORDER BY t.id DESC LIMIT 1", ("7",), "task_key"),
        (earlier.EARLIER, ('["7"]',), "task_key"),
        (f"SELECT t.id {steering.CHOSEN} AND t.key = ?", ("7",), "task_key"),
        (sharing.FOLLOWED, (), "task_twin"),
        (sharing.ROUSE, ("[7]",), "task_twin"),
    ],
)
def test_hot_queries_use_their_index(large: Path, sql: str, bindings: tuple[object, ...], index: str) -> None:
    db = apsw.Connection(str(large))
    plan = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]
    db.close()
    assert any(index in step for step in plan), plan
    assert not any(step.startswith("SCAN t") for step in plan), plan
    if sql not in (KNOWN, earlier.EARLIER):
        assert not any("TEMP B-TREE" in step for step in plan), plan


def test_the_results_cursor_reads_on_from_where_it_was(large: Path) -> None:
    db = apsw.Connection(str(large))
    sql = f"{reading._RESULTS} ORDER BY r.seq LIMIT ?3"
    plan = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", (5, 1, 10))]
    db.close()
    assert any("SEARCH r USING INTEGER PRIMARY KEY" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step for step in plan), plan


async def test_a_settlement_is_begun_when_it_is_called(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    run = await run_with(store, [new("a"), new("b")])
    tasks = await claim(store, n=1)
    writing = store.settle("w", [settlement(task) for task in tasks], NOW)
    await claim(store, n=1)
    assert await counts(store, run) == {State.SUCCEEDED: 1, State.RUNNING: 1}
    assert await writing == [True]
    await store.close()


async def test_verbs_that_come_together_share_commits(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    run = await open_run(store)
    before = store.commits
    await asyncio.gather(*(store.submit(run, [new(str(i))], NOW) for i in range(200)))
    assert store.commits - before < 50
    assert await counts(store) == {State.READY: 200}
    await store.close()


async def test_one_verbs_fault_is_not_its_neighbours(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    run = await open_run(store)
    bad = store.save_state("x", {"not": object()}, NOW)
    results = await asyncio.gather(
        store.submit(run, [new("a")], NOW), bad, store.submit(run, [new("b", "{1}")], NOW), return_exceptions=True
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    assert await counts(store) == {State.READY: 2}
    await sound(store)
    await store.close()


async def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "deep" / "s.db")
    await store.join("w", LEASE, NOW)
    for file in (tmp_path / "deep").rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file
    await store.close()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    await SQLiteStore(path).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", 99)
    db.close()
    with pytest.raises(StoreError, match="newer Laneway"):
        SQLiteStore(path)


async def test_a_store_of_the_first_schema_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    db = apsw.Connection(str(path))
    db.execute(connection.migrations()[0][1])
    db.pragma("user_version", 1)
    db.execute("""
        INSERT INTO run (id, identity, generation, sealed, created_at, first_seq, cursor, offset, info)
        VALUES (1, 'out', 1, 1, 0, 0, 0, 0, '{}');
        INSERT INTO cell (id, run_id, model, lane, urgency, ready) VALUES (1, 1, 'small', 'general', 2, 1);
        INSERT INTO task (id, run_id, key, generation, hash, cell_id, state, due_at)
        VALUES (1, 1, 'a', 1, x'00', 1, 'ready', 0);
    """)
    for number, thing in ((1, new("a").spec), (2, new("a").route)):
        db.execute("INSERT INTO document (id, content) VALUES (?, ?)", (number, orjson.dumps(thing.as_json())))
    db.execute("INSERT INTO payload (task_id, submitted_at, spec_id, route_id, body) VALUES (1, 0, 1, 2, x'7b7d')")
    db.close()
    store = SQLiteStore(path)
    assert await store.adjust(await store.select(Selector(keys=("a",))), Change(lane="legal"), NOW) == 1
    await store.join("w", LEASE, NOW)
    (task,) = await claim(store)
    assert (task.key, task.lane) == ("a", "legal")
    await finish(store, [task])
    await sound(store)
    await store.close()


async def test_one_commit_that_takes_a_task_and_returns_another_is_seen(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db", inline=True)
    await run_with(store, [new("a", due=NOW), new("b", due=NOW + 1)])
    await store.join("w", LEASE, NOW)
    (a,) = await store.claim("w", [Pick((await store.peek(NOW, depth=1))[0].cell_id, 1)], NOW)
    (head,) = await store.peek(NOW, depth=1)
    assert head.sizes[0][0] == NOW + 1

    def swap(tx: Transaction) -> None:
        settling.settle(tx, "w", [settlement(a, State.READY)], NOW)
        tx.db.execute("UPDATE task SET state = 'running', worker_id = 'w', fence = 1 WHERE key = 'b'")
        tx.move(a.cell_id, State.READY, State.RUNNING)

    await store._writer.write(swap)
    (head,) = await store.peek(NOW, depth=1)
    assert head.sizes[0][0] == NOW
    await store.close()


async def test_tasks_from_a_process_of_the_version_before_are_seen(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    await run_with(store, [new("a")])
    (head,) = await store.peek(NOW, depth=5)
    old = apsw.Connection(str(store.path))
    old.execute("UPDATE task SET state = 'cancelled'; UPDATE cell SET ready = ready - 1, cancelled = cancelled + 1")
    assert await store.peek(NOW, depth=5) == []
    old.execute("UPDATE task SET state = 'ready'; UPDATE cell SET cancelled = cancelled - 1, ready = ready + 1")
    assert await store.peek(NOW, depth=5) == [head]
    old.close()
    await store.close()


@pytest.mark.parametrize("known", [False, True], ids=["new", "of the first schema"])
def test_several_processes_may_open_a_store_at_the_same_moment(tmp_path: Path, known: bool) -> None:
    path = tmp_path / "s.db"
    if known:
        db = connection.connect(path)
        db.execute(connection.migrations()[0][1])
        db.pragma("user_version", 1)
        db.close()
    program = (
        "import sys, pathlib; from laneway.store.sqlite import SQLiteStore; print(flush=True); sys.stdin.readline();"
        " SQLiteStore(pathlib.Path(sys.argv[1]))"
    )
    others = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for other in others:
        assert other.stdout is not None
        other.stdout.readline()
    for other in others:
        assert other.stdin is not None
        other.stdin.write("\n")
        other.stdin.flush()
    for other in others:
        other.communicate()
    assert [other.returncode for other in others] == [0] * 4


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    db = apsw.Connection(str(tmp_path / "s.db"))
    db.execute("CREATE TABLE songs (id)")
    db.close()
    with pytest.raises(StoreError, match="not a Laneway store"):
        SQLiteStore(tmp_path / "s.db")


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.db").write_bytes(content)
    with pytest.raises(StoreError, match="damaged or not") as caught:
        SQLiteStore(tmp_path / "s.db")
    assert "backup" in caught.value.hint


def test_a_place_that_cannot_hold_a_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        SQLiteStore(tmp_path / "file" / "s.db")


async def test_a_locked_store_says_so_and_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 20)
    store = SQLiteStore(tmp_path / "s.db")
    run = await open_run(store)
    other = apsw.Connection(str(tmp_path / "s.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another program"):
        await store.submit(run, [new("a")], NOW)
    other.execute("ROLLBACK")
    other.close()
    assert (await store.submit(run, [new("a")], NOW)).new == 1
    await store.close()


async def test_a_full_disk_loses_nothing_and_ends_with_room(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    run = await run_with(store, [new("a", "{1}")])
    db = store._writing
    pages = int(next(iter(db.execute("PRAGMA page_count")))[0])
    db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match="no space left") as caught:
        await store.submit(run, [new(f"big{i}", "x" * 100_000) for i in range(50)], NOW)
    assert "goes on where it stopped" in caught.value.hint
    await sound(store)
    db.execute("PRAGMA max_page_count = 1000000")
    assert (await store.submit(run, [new("b", "{2}")], NOW)).new == 1
    await sound(store)
    await store.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from laneway.store.cells import Pick
from laneway.store.sqlite import SQLiteStore
from tests.store.helpers import *
async def main():
    store = SQLiteStore(Path(sys.argv[1]))
    await store.join("victim", LEASE, NOW)
    (head,) = await store.peek(NOW, depth=5, run_id=int(sys.argv[3]))
    tasks = await store.claim("victim", [Pick(head.cell_id, 5)], NOW)
    print(len(tasks), flush=True)
    run = await open_run(store, "churn")
    for i in range(100_000):
        await store.submit(run, [new(f"{sys.argv[2]}-{i}", str(i))], NOW)
asyncio.run(main())
"""


async def test_a_killed_process_is_taken_over_at_once_and_leaves_a_sound_store(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    store = SQLiteStore(path)
    run = await run_with(store, [new(str(i), str(i)) for i in range(5)])
    await store.join("me", LEASE, NOW)
    for turn in range(6):
        command = [sys.executable, "-c", KILLED, str(path), str(turn), str(run.id)]
        child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert child.stdout is not None
        assert await child.stdout.readline() == b"5\n"
        assert (await store.reap("me", NOW)).workers == (), "it is alive"
        await store.changed()
        while not await store.changed():  # until it is in the midst of writing
            pass
        child.send_signal(signal.SIGKILL)
        await child.wait()
        reaped = await store.reap("me", NOW)
        assert (reaped.workers, reaped.returned) == (("victim",), 5)
        assert (await counts(store, run))[State.READY] == 5
        await sound(store)
    await store.close()


async def test_the_write_ahead_log_stays_bounded(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db")
    run = await run_with(store, [])
    await store.join("w", LEASE, NOW)
    for at in range(0, 20_000, 500):
        await store.submit(run, [new(f"{i}", "x" * 500) for i in range(at, at + 500)], NOW)
        await finish(store, await claim(store, n=500))
    assert (tmp_path / "s.db-wal").stat().st_size < 80_000_000
    await sound(store)
    await store.close()


def test_a_schema_that_cannot_be_made_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = connection.migrations()
    monkeypatch.setattr(connection, "migrations", lambda: [*scripts, (9999, "CREATE TABLE more (id); CREATE NONSENSE")])
    db = connection.connect(tmp_path / "s.db")
    with pytest.raises(apsw.SQLError):
        connection.migrate(db, tmp_path / "s.db")
    assert connection.scalar(db, "SELECT count(*) FROM sqlite_schema") == 0
    assert connection.scalar(db, "PRAGMA user_version") == 0
    db.close()


def test_no_two_migrations_have_the_same_number() -> None:
    """Of two with one number only the first would ever be applied."""
    numbers = [number for number, _ in connection.migrations()]
    assert len(set(numbers)) == len(numbers)
