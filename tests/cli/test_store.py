"""``laneway store``: the schema, the books, and the way from one file to a server."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psycopg

from laneway.simulator.process import SimulatorProcess
from tests.cli.working import until
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]


def test_a_run_killed_on_sqlite_goes_on_in_postgresql(desk: Desk, simulate: Simulate, postgres_url: str) -> None:
    simulator = simulate(latency=0.1)
    desk.batch("tasks.jsonl", 120)
    process = desk.start("run", "tasks.jsonl", "--concurrency", "10")
    until(lambda: simulator.stats()["requests"] >= 40)
    simulator.control(latency=60)  # so that it has not ended before another command has begun
    in_flight = desk.run("store", "move", postgres_url, "--json")
    assert in_flight.code == 2
    assert "is being worked on" in in_flight.json["error"]["message"]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    simulator.control(latency=0.1)
    out = desk.folder / "tasks.results.jsonl"
    before = out.read_bytes()

    moved = desk.run("store", "move", postgres_url, "--json")
    assert moved.code == 0, moved.err
    assert moved.json["tasks"] == 120
    assert moved.json["returned"] > 0
    assert desk.run("store", "check", "--store", postgres_url, "--json").json == {"sound": True, "faults": []}
    assert desk.run("run", "tasks.jsonl", "--json").json["error"]["message"].endswith(f"was moved to {postgres_url}")

    done = desk.run("run", "tasks.jsonl", "--store", postgres_url, "--json")
    assert done.code == 0, done.err
    assert out.read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert sorted(row["custom_id"] for row in desk.rows(out.name)) == sorted(f"t{i}" for i in range(120))
    assert simulator.stats()["requests"] <= 120 + moved.json["returned"]
    again = desk.run("store", "move", postgres_url, "--store", f"sqlite:///{desk.folder}/other.db", "--json")
    assert again.json["error"]["kind"] == "not_found"


def test_migrate_says_from_where_to_where(desk: Desk, postgres_url: str) -> None:
    for url in (f"sqlite:///{desk.folder}/store.db", postgres_url):
        planned = desk.run("store", "migrate", "--store", url, "--dry-run", "--json").json
        assert planned["before"] == 0
        done = desk.run("store", "migrate", "--store", url, "--json").json
        assert (done["before"], done["after"]) == (0, planned["after"])
        assert "is up to date" in desk.run("store", "migrate", "--store", url).out
        assert desk.run("store", "check", "--store", url).out == "sound\n"


def test_check_ends_with_1_where_something_is_wrong(desk: Desk, simulate: Simulate, postgres_url: str) -> None:
    simulate()
    desk.batch("tasks.jsonl", 3)
    assert desk.run("run", "tasks.jsonl", "--store", postgres_url).code == 0
    with psycopg.connect(postgres_url) as db:
        db.execute("UPDATE laneway.cell_count SET succeeded = succeeded + 1")
    found = desk.run("store", "check", "--store", postgres_url, "--json")
    assert found.code == 1
    assert any("succeeded counted" in fault for fault in found.json["faults"])


def test_only_an_empty_postgresql_store_is_filled(desk: Desk, simulate: Simulate, postgres_url: str) -> None:
    simulate()
    desk.batch("tasks.jsonl", 3)
    assert desk.run("run", "tasks.jsonl").code == 0
    assert desk.run("run", "tasks.jsonl", "--store", postgres_url, "--out", "b.jsonl").code == 0
    refused = desk.run("store", "move", postgres_url, "--json")
    assert refused.code == 2
    assert "is not empty" in refused.json["error"]["message"]
    wrong = desk.run("store", "move", "sqlite:///b.db", "--json")
    assert wrong.json["error"]["kind"] == "usage"
    assert desk.run("run", "tasks.jsonl").code == 0
