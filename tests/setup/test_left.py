"""What the doctor says of outboxes and callbacks."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from laneway.app.outbox.table import CREATE
from laneway.setup.doctor.left import examine_left
from laneway.store.sqlite import SQLiteStore

NOW = 1_700_000_000.0


async def test_rows_with_a_fault_and_skipped_callbacks_are_findings(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "s.db", inline=True)
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as db:
        db.execute(CREATE)
        rows = [("a", None), ("b", "cannot be read: nonsense"), ("c", None)]
        db.executemany("INSERT INTO laneway_outbox (key, hash, task, fault) VALUES (?, x'00', '{}', ?)", rows)
    db.close()
    await store.save_state("outbox:1", {"path": str(path), "library": "sqlite3"}, NOW)
    await store.save_state("outbox:2", {"path": str(tmp_path / "gone.db"), "library": "sqlite3"}, NOW)
    await store.save_state("callback:app.told", {"cursor": 9, "skipped": [3, 4]}, NOW)
    await store.save_state("callback:app.fine", {"cursor": 9, "skipped": []}, NOW)
    said = {finding.check: finding.said for finding in await examine_left(store)}
    assert said == {
        f"outbox {path}": "1 rows that the store does not take, for example 'b': cannot be read: nonsense",
        f"outbox {tmp_path / 'gone.db'}": "it cannot be read: No such file or directory",
        "callback app.told": "it raised at 2 ended tasks until they were skipped (the last: 3, 4)",
    }
    await store.close()
