"""Databases of a test's own, on a server that the tests start by themselves (``benchmarks/postgres.py``) or, where
``LANEWAY_TEST_POSTGRES`` has a URL, on another: its user must be allowed to make databases.

Tests that run at the same time have a server each (0.7 s a start): up to where the order of results is complete
(``HORIZON`` in ``laneway/store/postgres/transaction.py``) is a whole server's, so a transaction that another test has
open, in whatever database, would hold results back that this one looks for."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.postgres import PostgresServer

OTHER = "LANEWAY_TEST_POSTGRES"


class Databases:
    """Makes and drops databases. Not schemas: advisory locks and notifications are a whole database's. From a template
    of 20 tables both take about 30 ms together, as much as those tables' DDL in a schema."""

    def __init__(self, url: str) -> None:
        """``url`` of any database there."""
        self._url = url
        self._prefix = f"laneway_test_{secrets.token_hex(4)}"
        self._made = 0
        self._connection = psycopg.connect(url, autocommit=True)

    def create(self, template: str | None = None) -> str:
        """The URL of an empty database, or of a copy of ``template``, the URL of one that nobody is connected to."""
        self._made += 1
        name = f"{self._prefix}_{self._made}"
        copied = sql.Identifier(_name(template) if template else "template1")
        self._connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), copied))
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{parts.query}" if parts.query else "")

    def drop(self, url: str) -> None:
        """Also while somebody is connected."""
        name = sql.Identifier(_name(url))
        self._connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def close(self) -> None:
        self._connection.close()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


@contextmanager
def databases() -> Iterator[Databases]:
    """On the server of this session of tests, or on the one that ``LANEWAY_TEST_POSTGRES`` names. Raises NoPostgres."""
    if url := os.environ.get(OTHER):
        made = Databases(url)
        try:
            yield made
        finally:
            made.close()
        return
    with PostgresServer(durable=False) as server:
        made = Databases(server.url())
        try:
            yield made
        finally:
            made.close()
