"""A made-up migration of a release to come, in the way that ``design/store.md`` allows: it only adds. It gives every
table a column and makes a table and an index, so that whatever counts columns or names is found out."""

from __future__ import annotations

import re

from laneway.store.postgres.connection import Migration, migrations

SCRIPTS = migrations()
TABLES = [name for one in SCRIPTS for name in re.findall(r"CREATE TABLE laneway\.(\w+)", one.script)]
NUMBER = SCRIPTS[-1].version + 1
NEXT = Migration(
    NUMBER,
    1,
    "".join(f"ALTER TABLE laneway.{name} ADD COLUMN made_up text NOT NULL DEFAULT 'x';" for name in TABLES)
    + "CREATE TABLE laneway.made_up (task_id bigint PRIMARY KEY, word text NOT NULL);"
    "CREATE INDEX task_made_up ON laneway.task (made_up);",
)
# What only the release after may do: workers of this one would fail.
CONTRACTED = Migration(NUMBER, NUMBER, "ALTER TABLE laneway.task DROP COLUMN losses;")
