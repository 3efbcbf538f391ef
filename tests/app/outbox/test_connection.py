"""``submit(connection=…)``: a task exists if and only if its caller's own transaction commits."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import apsw
import pytest

from laneway import ConfigError, ConflictError, Laneway, NotFoundError, UsageError, WaitTimeout
from laneway.app.outbox.callers import Place
from laneway.config.models import Config
from laneway.store.runs import Run
from laneway.task import State


def application(folder: Path) -> Laneway:
    made = Laneway(Config(folder=folder), store=f"sqlite:///{folder}/s.db", env={})

    @made.task
    async def double(n: int) -> int:
        with (folder / "ran.txt").open("a") as ran:
            ran.write(f"{n}\n")
        return n * 2

    return made


def ran(folder: Path) -> list[int]:
    path = folder / "ran.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.fixture
async def lw(tmp_path: Path) -> AsyncIterator[Laneway]:
    made = application(tmp_path)
    yield made
    await made.close()


@pytest.fixture(params=["sqlite3", "sqlite3-wal", "apsw"])
def app_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sqlite3.Connection | apsw.Connection]:
    """The application's own database, with a table of its own and an open transaction."""
    path = tmp_path / "app.db"
    db: sqlite3.Connection | apsw.Connection
    db = apsw.Connection(str(path)) if request.param == "apsw" else sqlite3.connect(path, check_same_thread=False)
    if request.param == "sqlite3-wal":
        db.execute("PRAGMA journal_mode = wal")
    db.execute("CREATE TABLE claim (id INTEGER PRIMARY KEY)")
    if request.param == "apsw":
        db.execute("BEGIN")
    db.execute("INSERT INTO claim VALUES (1)")
    yield db
    db.close()


Database = sqlite3.Connection | apsw.Connection


def rows(folder: Path) -> int:
    """What is committed in the outbox. In a process of its own: one library a file and process."""
    code = (
        "import sqlite3; db = sqlite3.connect('app.db');"
        "print(db.execute('SELECT count(*) FROM laneway_outbox').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    return int(done.stdout) if done.returncode == 0 else 0


async def test_a_committed_task_runs_once(lw: Laneway, app_db: Database, tmp_path: Path) -> None:
    async with lw.worker():
        job = await lw.submit("double", 21, connection=app_db)
        await asyncio.sleep(0.2)
        assert ran(tmp_path) == [], "nothing is visible before the commit"
        with pytest.raises(UsageError, match="has no id before"):
            _ = job.id
        app_db.execute("COMMIT")
        assert await job.result(10) == 42
        assert (await job.status()).key == job.key
        assert (await lw.store.find_task(str(job.id))).id == job.id
    assert ran(tmp_path) == [21]
    assert rows(tmp_path) == 0


async def test_a_rolled_back_task_never_runs_and_its_job_says_so(lw: Laneway, app_db: Database, tmp_path: Path) -> None:
    async with lw.worker():
        job = await lw.submit("double", 21, key="k", connection=app_db)
        with pytest.raises(WaitTimeout, match="has not been committed"):
            await job.result(0.05)
        app_db.execute("ROLLBACK")
        with pytest.raises(NotFoundError, match="rolled back"):
            await job.result(5)
        with pytest.raises(NotFoundError, match="rolled back"):
            await job.status()
    assert ran(tmp_path) == []
    with pytest.raises(NotFoundError):
        await lw.store.find_task("k")


async def test_another_process_worker_finds_the_outbox(lw: Laneway, app_db: Database, tmp_path: Path) -> None:
    await lw.submit("double", 3, connection=app_db)
    app_db.execute("COMMIT")
    app_db.close()
    worker = "import sys; from tests.app.outbox.test_connection import work; work(sys.argv[1])"
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", worker, str(tmp_path)], check=True, timeout=60)
    assert ran(tmp_path) == [3]


def work(folder: str) -> None:
    """A worker process that ends when something has run."""

    async def main() -> None:
        lw = application(Path(folder))
        async with lw.worker():
            for _ in range(1000):
                if ran(Path(folder)):
                    break
                await asyncio.sleep(0.01)
        await lw.close()

    asyncio.run(main())


KILLED = """
import asyncio, os, signal, sqlite3, sys
from pathlib import Path
from tests.app.outbox.test_connection import application

async def main():
    lw = application(Path(sys.argv[1]))
    db = sqlite3.connect(Path(sys.argv[1]) / "app.db")
    job = await lw.submit("double", 5, key="five", connection=db)
    if sys.argv[2] == "commit":
        db.commit()
    if sys.argv[2] == "carried":  # into the store, but not yet out of the outbox
        db.commit()
        lw.relay._file(next(iter(lw.relay._registered))).delete = lambda rows: os.kill(os.getpid(), signal.SIGKILL)
        await lw.relay.carry(next(iter(lw.relay._registered)))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize(("died", "expected"), [("commit", [5]), ("carried", [5]), ("before", [])])
def test_killed_at_any_moment(tmp_path: Path, died: str, expected: list[int]) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), died], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL

    async def main() -> None:
        lw = application(tmp_path)
        async with lw.worker():
            if expected:
                while not await _known(lw, "five"):  # noqa: ASYNC110 - another process brought it
                    await asyncio.sleep(0.01)
                await lw.board.wait((await lw.store.find_task("five")).id, 20)
            await asyncio.sleep(0.2)
        await lw.close()

    asyncio.run(main())
    assert ran(tmp_path) == expected
    assert rows(tmp_path) == 0


async def _known(lw: Laneway, key: str) -> bool:
    run: Run | None = await lw.store.find_run("api")
    return run is not None and key in await lw.store.named(run, [key])


async def test_two_relays_at_once_carry_a_task_once(lw: Laneway, app_db: Database, tmp_path: Path) -> None:
    jobs = await lw.submit_many("double", range(40), connection=app_db)
    app_db.execute("COMMIT")
    other = application(tmp_path)
    place = lw.relay._registered.copy().pop()
    async with lw.worker(), other.worker():
        await asyncio.gather(*(relay.carry(place) for relay in (lw.relay, other.relay, lw.relay)))
        assert [await job.result(20) for job in jobs] == [n * 2 for n in range(40)]
    await other.close()
    assert sorted(ran(tmp_path)) == list(range(40))


async def test_a_key_is_one_task_whichever_way_it_comes(lw: Laneway, app_db: Database, tmp_path: Path) -> None:
    first = await lw.submit("double", 1, key="k", connection=app_db)
    again = await lw.submit("double", 1, key="k", connection=app_db)
    with pytest.raises(ConflictError, match="other arguments"):
        await lw.submit("double", 2, key="k", connection=app_db)
    app_db.execute("COMMIT")
    async with lw.worker():
        assert (await first.result(10), await again.result(10)) == (2, 2)
        with pytest.raises(ConflictError, match="other arguments"):
            await lw.submit("double", 2, key="k", connection=app_db)
        later = await lw.submit("double", 1, key="k", connection=app_db)
        assert (await lw.submit("double", 1, key="k")).id == first.id == again.id
        assert await later.result(10) == 2
    assert ran(tmp_path) == [1]


async def test_a_conflict_that_shows_only_later_is_kept_with_its_reason(
    lw: Laneway, app_db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    job = await lw.submit("double", 1, key="k", connection=app_db)
    await lw.submit("double", 2, key="k")
    app_db.execute("COMMIT")
    with pytest.raises(ConflictError, match="other arguments"):
        await job.result(5)
    await lw.relay.carry(lw.relay._registered.copy().pop())
    assert "is left there" in caplog.text


@pytest.mark.parametrize("text", ['"x"', "[]", '{"version": 1}', '{"version": 1, "body": 3, "spec": 4}', "{"])
async def test_a_row_that_nobody_can_read_holds_up_no_other(lw: Laneway, tmp_path: Path, text: str) -> None:
    db = sqlite3.connect(tmp_path / "app.db", check_same_thread=False)
    await lw.submit("double", 1, key="damaged", connection=db)
    db.execute("UPDATE laneway_outbox SET task = ?", (text,))
    job = await lw.submit("double", 2, connection=db)
    db.commit()
    async with lw.worker():
        assert await job.result(10) == 4
    assert [key for (key,) in db.execute("SELECT key FROM laneway_outbox WHERE fault IS NOT NULL")] == ["damaged"]
    db.close()


async def test_the_application_may_hold_its_database_without_holding_up_the_worker(lw: Laneway, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "app.db", check_same_thread=False)
    job = await lw.submit("double", 1, connection=db)
    db.commit()
    db.execute("BEGIN EXCLUSIVE")
    async with lw.worker():
        assert await (await lw.submit("double", 2)).result(10) == 4
        assert ran(tmp_path) == [2]
        db.rollback()
        assert await job.result(10) == 2
    db.close()


async def test_an_outbox_that_is_gone_is_no_ones_end(lw: Laneway, tmp_path: Path) -> None:
    await lw.relay.register(Place(str(tmp_path / "gone.db"), "sqlite3"))
    async with lw.worker():
        assert await (await lw.submit("double", 2)).result(10) == 4
    assert not (tmp_path / "gone.db").exists()


async def test_without_a_transaction_the_row_is_committed_like_any_other(lw: Laneway, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
    db.row_factory = lambda cursor, row: {"never": "positional"}
    job = await lw.submit("double", 4, connection=db.cursor())
    async with lw.worker():
        assert await job.result(10) == 8
    db.close()


async def test_a_scheduled_task_keeps_its_time(lw: Laneway, app_db: Database) -> None:
    job = await lw.submit("double", 4, connection=app_db, delay=3600, urgency="relaxed", tags=["a"], lane="night")
    app_db.execute("COMMIT")
    task = await job.status()
    assert (task.state, task.lane, task.tags, task.urgency.label) == (State.WAITING, "night", ("a",), "relaxed")


async def test_the_stores_own_file_through_apsw_needs_no_outbox(lw: Laneway, tmp_path: Path) -> None:
    async with lw.worker():
        db = apsw.Connection(str(tmp_path / "s.db"))
        db.execute("BEGIN")
        job = await lw.submit("double", 7, connection=db)
        db.execute("COMMIT")
        assert await job.result(10) == 14
        db.execute("BEGIN")
        never = await lw.submit("double", 8, connection=db)
        db.execute("ROLLBACK")
        with pytest.raises(NotFoundError, match="rolled back"):
            await never.result(5)
        db.close()
    assert await lw.store.check() == []
    assert ran(tmp_path) == [7]


async def test_connections_that_cannot_carry_a_task(lw: Laneway, tmp_path: Path) -> None:
    await lw.submit("double", 1)
    own = sqlite3.connect(f"file:{tmp_path}/s.db?mode=ro", uri=True)
    with pytest.raises(UsageError, match="another SQLite library") as caught:
        await lw.submit("double", 1, connection=own)
    assert "file of their own" in caught.value.hint
    own.close()
    memory = sqlite3.connect(":memory:")
    with pytest.raises(UsageError, match="in memory"):
        await lw.submit("double", 1, connection=memory)
    memory.close()
    with pytest.raises(UsageError, match="connection=int"):
        await lw.submit("double", 1, connection=1)

    class Postgres:
        __module__ = "psycopg.connection"

    with pytest.raises(ConfigError, match="lands with the PostgreSQL store"):
        await lw.submit("double", 1, connection=Postgres())


def test_blocking_on_the_callers_own_thread(tmp_path: Path) -> None:
    lw = application(tmp_path)
    db = sqlite3.connect(tmp_path / "app.db")
    job = lw.sync.submit("double", 4, connection=db)
    many = lw.sync.submit_many("double", [5, 6], connection=db)
    db.commit()
    with lw.sync.worker():
        assert [job.result(10), *(one.result(10) for one in many)] == [8, 10, 12]
    lw.sync.close()
    db.close()


async def test_sqlalchemy_connections_and_sessions(lw: Laneway, tmp_path: Path) -> None:
    from sqlalchemy import create_engine, text
    from sqlalchemy.orm import Session

    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER)"))
        kept = await lw.submit("double", 4, connection=connection)
    with Session(engine) as session:
        session.execute(text("INSERT INTO orders VALUES (1)"))
        gone = await lw.submit("double", 5, connection=session)
        session.rollback()
        session.execute(text("INSERT INTO orders VALUES (2)"))
        also = await lw.submit("double", 6, connection=session)
        session.commit()
    with engine.connect() as connection:
        alone = await lw.submit("double", 7, connection=connection)
        connection.commit()  # knows of the transaction that the submission itself began
    async with lw.worker():
        assert [await job.result(10) for job in (kept, also, alone)] == [8, 12, 14]
        with pytest.raises(NotFoundError, match="rolled back"):
            await gone.result(10)
    engine.dispose()


async def test_sqlalchemys_async_connection(lw: Laneway, tmp_path: Path) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'app.db'}")
    async with engine.begin() as connection:
        job = await lw.submit("double", 4, connection=connection)
        with pytest.raises(UsageError, match="async one"):
            await asyncio.to_thread(lw.sync.submit, "double", 5, connection=connection)
    async with lw.worker():
        assert await job.result(10) == 8
    await engine.dispose()
