"""Upgrades while workers of the release before go on. The conformance suite runs on ``newer.NEXT`` as well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import psycopg
import pytest
from psycopg import sql

from laneway.errors import StoreError
from laneway.store.postgres import PostgresStore
from laneway.store.postgres.connection import Db, connect, connect_first, migrate, migrations, upgrade
from laneway.store.sqlite import connection as sqlite
from tests.store.helpers import claim, finish, new, run_with, sound
from tests.store.newer import CONTRACTED, NEXT

LATEST = migrations()[-1].version


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with connect_first(postgres_url) as connection:
        yield connection


async def test_work_goes_on_while_the_schema_grows(db: Db, postgres_url: str) -> None:
    store = PostgresStore(postgres_url)
    await run_with(store, [new(str(i)) for i in range(20)])
    claimed = await claim(store, n=10)
    migrate(db, [*migrations(), NEXT])
    assert all(await finish(store, claimed))
    assert len(await claim(store, n=10)) == 10
    await sound(store)
    await store.close()


def test_a_newer_schema_that_we_can_use_is_left_as_it_is(db: Db, postgres_url: str) -> None:
    migrate(db, [*migrations(), NEXT])
    migrate(db)
    assert upgrade(postgres_url) == (NEXT.version, NEXT.version)


def test_a_newer_schema_that_we_cannot_use_is_refused(db: Db, postgres_url: str) -> None:
    migrate(db, [*migrations(), CONTRACTED])
    for open_ in (PostgresStore, upgrade):
        with pytest.raises(StoreError, match=f"schema {LATEST + 1}, usable from {LATEST + 1} on; this one knows"):
            open_(postgres_url)
    later = CONTRACTED._replace(version=LATEST + 2, usable_from=1, script="SELECT 1")
    migrate(db, [*migrations(), CONTRACTED, later])  # one that only adds does not make it usable again
    with pytest.raises(StoreError, match=f"schema {LATEST + 2}, usable from {LATEST + 1} on"):
        PostgresStore(postgres_url)


def test_a_migration_that_fails_changes_nothing(db: Db) -> None:
    broken = NEXT._replace(script=NEXT.script + "SELECT nothing_of_that_name")
    with pytest.raises(psycopg.errors.UndefinedColumn):
        migrate(db, [*migrations(), broken])
    migrate(db, [*migrations(), NEXT])


def test_scripts_of_this_release_only_contract_where_they_say_so() -> None:
    for version, usable_from, script in migrations():
        code = "\n".join(line.partition("--")[0] for line in script.upper().splitlines())
        shrinks = any(word in code for word in ("DROP TABLE", "DROP COLUMN", "RENAME", " TYPE ", "SET NOT NULL"))
        assert not shrinks or usable_from == version


def test_a_role_without_rights_uses_what_an_owner_migrated(db: Db, postgres_url: str) -> None:
    role = sql.Identifier(f"{psycopg.conninfo.conninfo_to_dict(postgres_url)['dbname']}_worker")
    rights = (
        sql.SQL("CREATE ROLE {}"),
        sql.SQL("GRANT USAGE ON SCHEMA laneway TO {}"),
        sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA laneway TO {}"),
        sql.SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA laneway TO {}"),
    )
    try:
        for right in rights:
            db.execute(right.format(role))
        limited = connect(postgres_url)
        limited.execute(sql.SQL("SET ROLE {}").format(role))
        migrate(limited)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            migrate(limited, [*migrations(), NEXT])
        limited.close()
    finally:
        db.execute(sql.SQL("DROP OWNED BY {}").format(role))
        db.execute(sql.SQL("DROP ROLE {}").format(role))


def test_every_sqlite_migration_since_the_first_only_adds(tmp_path: Path) -> None:
    """Workers of the release before have the file open while it is brought up to date: whatever was there stays, and
    what is new has a default."""
    db = apsw.Connection(str(tmp_path / "store.db"))
    before: dict[tuple[str, str], str] = {}
    for _, script in sqlite.migrations():
        old = set(before)
        db.execute(script)
        now = _columns(db)
        assert before.items() <= now.items()
        tables = {table for table, _ in old}
        for table, column in now.keys() - old:
            if table in tables:
                assert "NOT NULL" not in now[table, column] or "DEFAULT" in now[table, column]
        before = now


def _columns(db: apsw.Connection) -> dict[tuple[str, str], str]:
    found = {}
    for (table,) in list(db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")):
        for _, name, kind, not_null, default, _ in db.execute(f"PRAGMA table_info({table})"):
            found[table, name] = " ".join(
                filter(None, (kind, "NOT NULL" * not_null, f"DEFAULT {default}" if default is not None else ""))
            )
    return found
