"""``laneway worker`` at its end, and the lanes it works on."""

from __future__ import annotations

import signal

import pytest

from laneway.cli.working import store_name
from tests.cli.working import ask, at_work, end, states, until
from tests.conftest import Desk

PLACES = {
    "postgresql://ada:secret@db:5432/lw?password=secret": "postgresql://ada@db:5432/lw",
    "postgresql://ada:se%40cret@a:5432,b:5433/lw": "postgresql://ada@a:5432,b:5433/lw",
    "postgresql:///lw?host=/run/postgresql": "postgresql:///lw",
    "sqlite:////srv/lw.db": "/srv/lw.db",
}
BOTH = pytest.mark.parametrize("processes", ["1", "2"])


def test_it_works_on_its_lanes_only(desk: Desk) -> None:
    with at_work(desk, "--lanes", "quick, other") as (worker, ready):
        assert ready["lanes"] == ["other", "quick"]
        desk.run("submit", "slow", "gate=a")
        assert desk.run("submit", "quick", "n=4", "--wait").out == "8\n"
        assert states(desk)["slow"] == {"ready": 1}
        with at_work(desk, "--lanes", "slow") as (other, _):
            desk.write("a", "")
            until(lambda: states(desk)["slow"] == {"succeeded": 1}, "the other worker has done it")
            other.terminate()
            assert end(other)[0] == 0
        worker.terminate()
        assert end(worker)[0] == 0


def test_no_lane_at_all_is_a_mistake(desk: Desk) -> None:
    done = desk.run("worker", "--lanes", " ,", "--json")
    assert (done.code, done.json["error"]["kind"]) == (2, "usage")


@pytest.mark.parametrize(("url", "name"), PLACES.items())
def test_the_store_is_named_without_its_password(url: str, name: str) -> None:
    assert store_name(url) == name


@BOTH
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_what_is_in_flight_is_finished_and_nothing_more_begun(
    desk: Desk, processes: str, number: signal.Signals, code: int
) -> None:
    with at_work(desk, "--processes", processes, "--health", "0") as (worker, ready):
        desk.run("submit", "slow", "gate=a")
        until((desk.folder / "a.begun").exists, "it has begun")
        worker.send_signal(number)
        until(lambda: ask(f"{ready['health']}/readyz")[1]["draining"], "it drains")
        desk.run("submit", "quick", "n=4")
        assert worker.poll() is None, "it waits for what is in flight"
        desk.write("a", "")
        ended, said = end(worker)
    assert ended == code
    assert "draining: what is in flight has 30 s to finish" in said
    assert "broke off" not in said
    assert states(desk) == {"quick": {"ready": 1}, "slow": {"succeeded": 1}}
    assert desk.run("status", "--json").json["workers"] == []


@BOTH
def test_after_the_time_of_grace_the_rest_goes_back_to_the_queue(desk: Desk, processes: str) -> None:
    with at_work(desk, "--processes", processes, "--grace", "300ms") as (worker, _):
        desk.run("submit", "slow", "gate=a")
        until((desk.folder / "a.begun").exists, "it has begun")
        worker.terminate()
        code, said = end(worker)
    assert code == 3
    assert "broke off 1 task(s); they are queued again" in said
    assert states(desk) == {"slow": {"ready": 1}}


@BOTH
def test_a_second_signal_breaks_off_at_once(desk: Desk, processes: str) -> None:
    with at_work(desk, "--processes", processes, "--grace", "1h", "--health", "0") as (worker, ready):
        desk.run("submit", "slow", "gate=a")
        until((desk.folder / "a.begun").exists, "it has begun")
        worker.send_signal(signal.SIGINT)
        until(lambda: ask(f"{ready['health']}/readyz")[1]["draining"], "it drains")
        worker.send_signal(signal.SIGINT)
        code, said = end(worker)
    assert code == 130
    assert "broke off 1 task(s)" in said
    assert states(desk) == {"slow": {"ready": 1}}
