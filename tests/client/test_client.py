"""The blocking client against the real command."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from laneway import (
    AuthError,
    Client,
    ConflictError,
    InputError,
    NotFoundError,
    ServerUnreachable,
    TaskCancelled,
    TaskFailed,
    UsageError,
    WaitTimeout,
)
from tests.client.conftest import configure, port_of
from tests.conftest import Desk
from tests.server.served import Serve, Served, Simulate


def test_a_task_is_submitted_waited_for_and_looked_at(client: Client) -> None:
    job = client.submit("review", doc="bread", key="k1", urgency="urgent", tags=["x"])
    assert job.result(timeout=30).startswith("Simulated")
    done = job.status()
    assert (done.state, done.urgency, done.tags, done.key, done.model) == ("succeeded", "urgent", ["x"], "k1", "small")
    assert done.cost_usd is not None
    assert client.submit("review", fields={"doc": "bread"}, key="k1", urgency="urgent").id == job.id
    with pytest.raises(ConflictError) as refused:
        client.submit("review", doc="cheese", key="k1")
    assert (refused.value.kind, refused.value.hint) == ("conflict", "use another key")
    assert client.submit(prompt="hello", model="strong").result(30).startswith("Simulated")
    body = {"messages": [{"role": "user", "content": "hello"}]}
    assert client.submit(body=body, format="chat").result(30).startswith("Simulated")
    assert client.explain(job)["attempts"][0]["outcome"] == "ok"
    client.feedback(job, "good")
    client.feedback("k1", "contract", field="category", note="it was one")
    assert {one["value"] for one in client.explain("k1")["feedback"]} == {"good", "contract"}
    assert [event.task.state for event in job.events()] == ["succeeded"]


def test_errors_say_what_the_server_said(client: Client, served: Served) -> None:
    with pytest.raises(NotFoundError, match="no task 'nobody'"):
        client.get("nobody")
    with pytest.raises(InputError, match="doc"):
        client.submit("review")
    with pytest.raises(UsageError, match="one of type, prompt and body"):
        client.submit("review", prompt="hello")
    with pytest.raises(NotFoundError, match="17"):
        client.get(17)
    with pytest.raises(UsageError, match="pause what"):
        client.pause()
    served.kill()
    with Client(served.url, retry_for=0.5) as short, pytest.raises(ServerUnreachable, match="does not answer"):
        short.get("nobody")


def test_a_wrong_token_is_told(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate()
    desk.env["LANEWAY_TOKEN"] = "t"
    url = serve().url
    with Client(url, "wrong") as client, pytest.raises(AuthError, match="wrong token") as refused:
        client.submit(prompt="hello")
    assert refused.value.message != "t"
    with Client(url, "t") as client:
        assert client.submit(prompt="hello").result(30)


def test_what_fails_or_is_cancelled_is_raised(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate(error_rate=1.0)
    configure(desk, "[retry]\nmax_attempts = 1\n")
    with Client(serve().url) as client:
        with pytest.raises(TaskFailed) as failed:
            client.submit(prompt="hello", key="k").result(30)
        assert failed.value.failure is not None
        assert failed.value.failure.status == 500
        later = client.submit(prompt="later", delay=3600)
        with pytest.raises(WaitTimeout, match=r"within 0\.1 s"):
            later.result(0.1)
        assert later.cancel()
        with pytest.raises(TaskCancelled):
            later.result(30)
        assert [one.task.state for one in client.map(None, ["a", "b"])] == ["failed", "failed"]
        assert client.retry("k")


def test_lists_runs_results_and_steering(client: Client) -> None:
    jobs = [
        client.submit(prompt=f"p{n}", key=f"k{n}", delay=3600, lane="slow" if n % 2 else "other") for n in range(60)
    ]
    assert {task.id for task in client.tasks(state="waiting", lane="slow")} == {job.id for job in jobs[1::2]}
    assert client.set(jobs[0], urgency="urgent", lane="slow")
    assert client.get(jobs[0]).lane == "slow"
    found = client.select("cancel", dry_run=True, lane="slow", state=["waiting"])
    assert (found.matched, found.changed, found.dry_run) == (31, 0, True)
    assert client.select("cancel", lane="slow").changed == 31
    assert client.select("set", change={"lane": "third"}, lane="other").changed == 29
    assert client.pause(lane="slow")
    assert not client.pause(lane="slow")
    assert client.resume(lane="slow")
    client.limit(lane="slow", concurrency=3)
    assert "slow" in [one["name"] for one in client.figures("lanes")]
    client.limit(lane="slow", concurrency=None)
    with pytest.raises(UsageError, match="limit what"):
        client.limit(lane="slow")
    with pytest.raises(UsageError, match="no figures of 'queues'"):
        client.figures("queues")
    assert client.overview()
    (worker,) = client.figures("workers")
    client.drain(worker["id"])
    (run,) = client.runs()
    assert client.run(run.id).tasks["cancelled"] == 31
    results = list(client.results(run.id))
    assert len(results) == 31
    assert [one.seq for one in client.results(run.id, after=results[20].seq)] == [one.seq for one in results[21:]]


def test_threads_share_a_client(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda n: client.submit(prompt=f"p{n % 10}", key=f"k{n % 10}"), range(40)))
        assert len({job.id for job in jobs}) == 10
        assert all(answer.startswith("Simulated") for answer in pool.map(lambda job: job.result(30), jobs))


def test_a_kill_in_the_midst_of_a_map_costs_no_result_and_doubles_none(
    desk: Desk, serve: Serve, simulate: Simulate
) -> None:
    simulator = simulate(latency=0.05)
    configure(desk)
    served = serve()
    port = port_of(served)
    records = [{"doc": f"d{n}"} for n in range(300)]
    seen = []
    with Client(served.url) as client:
        for one in client.map("review", iter(records), key="doc"):
            seen.append(one)
            if len(seen) in (20, 150):
                served.kill()
                served = serve("--port", port)
        assert sorted(one.index for one in seen) == list(range(300))
        assert all(one.record == records[one.index] for one in seen)
        assert all(one.result().startswith("Simulated") for one in seen)
        paid = simulator.stats()["requests"]
        assert len(list(client.map("review", records, key="doc"))) == 300, "the same again is known"
        assert simulator.stats()["requests"] == paid
    (run,) = desk.run("status", "--json").json["runs"]
    assert run["tasks"]["succeeded"] == 300, "each was taken once"


def test_events_go_on_over_a_restart(desk: Desk, serve: Serve, simulate: Simulate) -> None:
    simulate(latency=0.01)
    configure(desk)
    served = serve()
    port, ended = port_of(served), threading.Event()
    heard: list[int] = []

    with Client(served.url) as client:

        def listen() -> None:
            for event in client.events():
                if event.name == "figures":
                    ended.set()
                else:
                    heard.append(event.task.id)
                if len(heard) == 20:
                    return

        listener = threading.Thread(target=listen)
        listener.start()
        assert ended.wait(30)
        first = [client.submit(prompt=f"a{n}").id for n in range(10)]
        for id_ in first:
            client.wait(id_, 30)
        served.kill()
        serve("--port", port)
        second = [client.submit(prompt=f"b{n}").id for n in range(10)]
        listener.join(60)
        assert not listener.is_alive()
    assert sorted(heard) == sorted(itertools.chain(first, second))


def test_nothing_heavy_is_imported(desk: Desk) -> None:
    done = desk.python(
        "-c",
        "import sys; from laneway import Client; Client('http://127.0.0.1:9');"
        "print([m for m in ('aiohttp', 'apsw', 'pydantic', 'rich', 'fastapi', 'laneway.app', 'laneway.task')"
        " if m in sys.modules])",
    )
    assert done.out.strip() == "[]", done.err
