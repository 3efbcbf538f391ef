"""From one file to a server: everything goes along, or nothing does."""

from __future__ import annotations

import time
from pathlib import Path

import apsw
import psycopg
import pytest

from laneway.errors import StoreError, UsageError
from laneway.store import moving
from laneway.store.feedback import BAD, About, Feedback
from laneway.store.postgres import PostgresStore
from laneway.store.postgres.connection import connect, connect_first
from laneway.store.postgres.transaction import SEQ_BITS
from laneway.store.sqlite import SQLiteStore, moved
from laneway.store.steering import Change, PauseKind
from laneway.store.tokens import Deed, Role, Token
from laneway.task import Outcome, State
from tests.store.helpers import LEASE, NOW, claim, counts, finish, new, open_run, run_with, sound, tamper

TOKEN = Token("t", b"\x00" * 32, Role.SUBMIT, lanes=frozenset({"night"}), created_at=NOW)


async def lived_in(path: Path) -> SQLiteStore:
    """Tasks in every state, some of them running on a worker that is gone; costs, pauses, states."""
    store = SQLiteStore(path)
    await store.join("w", LEASE, NOW)
    run = await run_with(store, [new(f"a{i}", tags=("x", "nul\x00")) for i in range(30)], max_cost=5.0)
    claimed = await claim(store, n=20)
    await finish(store, claimed[:8])
    await finish(store, claimed[8:12], State.FAILED)
    await finish(store, claimed[12:14], State.WAITING, wake_at=NOW + 50)
    await store.save_cursor(run.id, (await store.results_after(run, 0, 5))[-1].seq, 77)
    await store.cancel([claimed[13].id], NOW)
    ready = await store.peek(NOW, depth=10)
    assert ready
    await store.adjust([claimed[12].id], Change(lane="night"), NOW)
    await store.submit(await open_run(store, "held.jsonl"), [new("h1"), new("h2")], NOW, held=True)
    await store.pause(PauseKind.LANE, "night", NOW)
    await store.save_state("bucket:main", {"level": 3.5}, NOW)
    await store.judge([Feedback(claimed[0].id, About.QUALITY, BAD, "nul\x00")], NOW)
    await store.add_token(TOKEN)
    await store.record(Deed(NOW, "t", None, "lane.pause", "night"))
    return store


async def test_everything_goes_along(tmp_path: Path, postgres_url: str) -> None:
    old = await lived_in(tmp_path / "store.db")
    run = await old.get_run(1)
    was, results = await counts(old), await old.results_after(run, 0, 100)
    await old.close()
    done = moving.move(tmp_path / "store.db", postgres_url)
    assert (done.tasks, done.runs, done.results) == (32, 2, len(results))
    assert done.returned == was[State.RUNNING] == 6

    store = PostgresStore(postgres_url)
    try:
        await sound(store)
        now = await counts(store)
        was[State.READY] += was.pop(State.RUNNING)
        assert now == was
        assert await store.results_after(run, 0, 100) == results
        there = await store.get_run(1)
        assert (there.identity, there.cursor, there.offset, there.generation) == (
            run.identity,
            run.cursor,
            run.offset,
            run.generation,
        )
        assert [one.name for one in await store.pauses() if one.since is not None] == ["night"]
        assert await store.load_state("bucket:main") == ({"level": 3.5}, NOW)
        assert [word[2:] for word in await store.feedback([1])] == [(BAD, "nul\ufffd", "small", NOW)]
        assert await store.tokens() == [TOKEN]
        await store.record(Deed(NOW, "t", None, "lane.resume", "night"))
        assert [deed.action for deed in await store.deeds(None, 9)] == ["lane.resume", "lane.pause"]
        task = await store.find_task("a0", 1)
        assert task.tags == ("x", "nul\ufffd")
        lost = [line for id_ in range(1, 31) for line in await store.attempts(id_) if line.outcome is Outcome.LOST]
        assert len(lost) == 6

        await store.join("w2", LEASE, NOW)
        claimed = await claim(store, "w2")
        assert len(claimed) == now[State.READY]
        await finish(store, claimed, worker="w2")
        fresh = await store.results_after(there, results[-1].seq, 100)
        assert len(fresh) == len(claimed)
        await run_with(store, [new("b")], identity="other.jsonl")
        await sound(store)
    finally:
        await store.close()


async def test_the_old_store_refuses_what_would_be_lost(tmp_path: Path, postgres_url: str) -> None:
    path = tmp_path / "store.db"
    open_ = await lived_in(path)
    db = apsw.Connection(str(path))
    db.execute("DELETE FROM worker")
    moving.move(path, postgres_url)
    with pytest.raises(StoreError, match="was moved"):  # had it open all the while
        await open_.submit(await open_run(open_, "new.jsonl"), [new("n")], NOW)
    await open_.close()
    with pytest.raises(StoreError, match="was moved to postgresql://"):
        SQLiteStore(path)
    db.execute("DELETE FROM state WHERE name = ?", (moved.STATE,))
    again = SQLiteStore(path)
    await again.submit(await open_run(again, "new.jsonl"), [new("n")], NOW)
    await again.close()


async def test_while_a_worker_lives_nothing_moves(tmp_path: Path, postgres_url: str) -> None:
    store = SQLiteStore(tmp_path / "store.db")
    await store.join("w", LEASE, time.time())
    with pytest.raises(UsageError, match="is being worked on by process"):
        moving.move(tmp_path / "store.db", postgres_url)
    await store.leave("w", time.time())
    await store.close()
    assert moving.move(tmp_path / "store.db", postgres_url).tasks == 0


async def test_a_move_that_breaks_leaves_both_as_they_were(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    await (await lived_in(path)).close()
    with monkeypatch.context() as broken:
        broken.setattr(moving, "TABLES", {**moving.TABLES, "detour": "nothing_of_that_name"})
        with pytest.raises(apsw.SQLError):
            moving.move(path, postgres_url)
    connect_first(postgres_url).close()
    with psycopg.connect(postgres_url) as db:
        assert db.execute("SELECT count(*) FROM laneway.task").fetchone() == (0,)
    assert moving.move(path, postgres_url).tasks == 32


async def test_a_key_that_postgresql_cannot_keep_is_said(tmp_path: Path, postgres_url: str) -> None:
    store = SQLiteStore(tmp_path / "store.db")
    await run_with(store, [new("a\x00b")])
    await store.close()
    with pytest.raises(UsageError, match="cannot be kept in PostgreSQL"):
        moving.move(tmp_path / "store.db", postgres_url)


async def test_check_finds_a_dump_of_an_older_server(postgres_url: str) -> None:
    """A younger server numbers from below: what it settles would stand before what was read."""
    store = PostgresStore(postgres_url)
    await run_with(store, [new("a")])
    await finish(store, await claim(store))
    await sound(store)
    for table in ("result SET seq = seq", "task SET result_seq = result_seq"):
        await tamper(store, f"UPDATE {{}}{table} + (1000000::bigint << {SEQ_BITS})")
    assert [fault[:38] for fault in await store.check()] == ["1 results are numbered above what this"]
    await store.close()


def test_a_pooler_that_cannot_follow_prepared_statements(postgres_url: str) -> None:
    for url, prepared in ((postgres_url, 1), (with_query(postgres_url, "prepare=off"), 0)):
        with connect(url) as db:
            for _ in range(10):
                db.execute("SELECT 1")
            assert db.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (prepared,)


def with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"
