"""What was pruned has left the files, to the last byte."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from laneway.errors import UsageError
from laneway.store.interface import Store
from laneway.store.postgres import PostgresStore, pruning
from laneway.store.sqlite import SQLiteStore
from laneway.task import Failure, FailureClass, State
from tests.postgres import Databases
from tests.store.helpers import LEASE, NOW, claim, finish, new, open_run, run_with, sound

CANARY = "c4nary-in-the-coal-mine"


def files_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def full(store: Store, n: int) -> None:
    """Ended tasks with the canary in every place that content has; each has complained once."""
    tasks = [
        new(f"t{i}", f'{{"{CANARY}": "{"x" * (40 * (i % 200))}", "n": {i}}}', record=f'"{CANARY}"'.encode())
        for i in range(n)
    ]
    await run_with(store, tasks, identity="elsewhere")
    await store.join("w", LEASE, NOW)
    again: dict[str, Any] = {"complaint": f"not {CANARY}", "failure": Failure(FailureClass.OUTPUT, "schema", CANARY)}
    await finish(store, await claim(store, n=n), State.READY, **again)
    claimed = await claim(store, n=n)
    await finish(store, claimed[::2], output=f'["{CANARY}", "{"y" * 3000}"]'.encode())
    await finish(store, claimed[1::2], State.FAILED, failure=Failure(FailureClass.REQUEST, "bad", CANARY, 400))


@pytest.mark.parametrize("shrink", [False, True])
async def test_nothing_is_left_in_the_files(tmp_path: Path, shrink: bool) -> None:
    store = SQLiteStore(tmp_path / "store.db")
    try:
        await full(store, 600)
        assert files_of(tmp_path).count(CANARY.encode()) > 3000
        await store.scrub(shrink=False)
        size = (tmp_path / "store.db").stat().st_size
        at: int | None = 0
        while at is not None:
            at = (await store.prune(NOW + 1, after=at, limit=250)).cursor
        assert await store.scrub(shrink=shrink)
        assert CANARY.encode() not in files_of(tmp_path)
        assert ((tmp_path / "store.db").stat().st_size < size / 2) is shrink
        await sound(store)
    finally:
        await store.close()


async def test_the_log_of_writes_is_left_while_somebody_reads(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "store.db")
    try:
        await full(store, 10)
        reading = store._short.execute("SELECT * FROM attempt")
        next(reading)
        await store.prune(NOW + 1)
        assert not await store.scrub(shrink=False)
        reading.close()
        assert await store.scrub(shrink=False)
        assert CANARY.encode() not in files_of(tmp_path)
    finally:
        await store.close()


async def test_what_another_process_readies_meanwhile_keeps_its_request(
    postgres_databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_databases.create()
    sealing, taking = PostgresStore(url), PostgresStore(url)
    try:
        await run_with(sealing, [new("a", "1")])
        await sealing.join("w", LEASE, NOW)
        await finish(sealing, await claim(sealing), State.FAILED)
        again = await open_run(sealing)
        await sealing.submit(again, [new("a", "1")], NOW, held=True)
        loop, look, looked = asyncio.get_running_loop(), pruning.look, []

        def look_slowly(*args: Any) -> Any:
            found = look(*args)
            looked.append(found)
            if len(looked) == 2:  # the first look of the transaction that takes it away
                asyncio.run_coroutine_threadsafe(sealing.seal_run(again, NOW), loop).result(10)
            return found

        monkeypatch.setattr(pruning, "look", look_slowly)
        assert (await taking.prune(NOW + 1)).tasks == 0
        assert [task.body for task in await claim(sealing)] == [b"1"]
        await sound(sealing)
    finally:
        await sealing.close()
        await taking.close()
        postgres_databases.drop(url)


@pytest.mark.parametrize(("key", "wrong"), [("\u4e00" * 900, "2,700 bytes"), ("x" * 1001, "1,001 char"), ("\0", "NUL")])
async def test_keys_that_no_index_takes_are_refused(postgres_databases: Databases, key: str, wrong: str) -> None:
    url = postgres_databases.create()
    store = PostgresStore(url)
    try:
        with pytest.raises(UsageError, match=wrong):
            await store.submit(await open_run(store), [new(key)], NOW)
    finally:
        await store.close()
        postgres_databases.drop(url)
