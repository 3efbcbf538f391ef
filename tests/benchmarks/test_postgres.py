"""The server for tests and benchmarks: it can be stopped, killed and started again, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from benchmarks.postgres import CHOICE, NoPostgres, PostgresServer
from tests.postgres import Databases

OWNER = """
from benchmarks.postgres import PostgresServer
with PostgresServer(durable=False) as server:
    print(server.url(), flush=True)
    input()
"""


def test_every_test_has_a_database_of_its_own(postgres_databases: Databases, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE mine (n int)")
    copy, empty = postgres_databases.create(postgres_url), postgres_databases.create()
    with psycopg.connect(copy) as connection:
        assert connection.execute("SELECT count(*) FROM mine").fetchone() == (0,)
    with psycopg.connect(empty) as connection:
        assert connection.execute("SELECT to_regclass('mine')").fetchone() == (None,)
        postgres_databases.drop(empty)  # with us in it
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    postgres_databases.drop(copy)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(copy)


def test_what_was_committed_outlives_restarts_and_kills(postgres_server: PostgresServer) -> None:
    def keep(n: int) -> None:
        with psycopg.connect(postgres_server.url()) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", [n])

    with psycopg.connect(postgres_server.url()) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    keep(1)
    postgres_server.restart()
    keep(2)
    postgres_server.restart("immediate", max_connections=7)
    keep(3)
    idle = psycopg.connect(postgres_server.url())
    postgres_server.kill()
    with pytest.raises(psycopg.OperationalError):
        idle.execute("SELECT 1")
    idle.close()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(postgres_server.url())
    postgres_server.start()
    with psycopg.connect(postgres_server.url()) as connection:
        assert connection.execute("SELECT array_agg(n ORDER BY n) FROM kept").fetchone() == ([1, 2, 3],)
        assert connection.execute("SHOW max_connections").fetchone() == ("7",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_two_run_side_by_side_and_leave_nothing(postgres_server: PostgresServer) -> None:
    with PostgresServer(durable=False) as other:
        assert other.folder.is_dir()
        with psycopg.connect(other.url()) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
    assert not other.folder.exists()
    with psycopg.connect(postgres_server.url()):
        pass


def test_it_ends_with_a_process_that_is_killed() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert owner.stdout is not None
    url = owner.stdout.readline().decode().strip()
    with psycopg.connect(url) as connection:
        folder = Path(str(connection.info.host))
        assert folder.exists()
        owner.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT pg_sleep(60)")
    owner.communicate()  # until nobody holds its output, so whoever cleans up has ended, too
    assert not folder.exists()


def test_a_server_that_cannot_start_says_why(postgres_server: PostgresServer) -> None:
    postgres_server.stop()
    with pytest.raises(NoPostgres, match="no_such_setting"):
        postgres_server.start(no_such_setting=1)


def test_without_any_server_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(CHOICE, str(tmp_path))
    with pytest.raises(NoPostgres, match="apt-get install postgresql"):
        PostgresServer()
