"""What a client does, step by step, without a server: when it asks again, what it waits, how it reads streams."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway import AsyncClient, AuthError, Client, LimitError, NotFoundError, ServerUnreachable, UsageError
from laneway.client import AsyncJob, ClientJob, Mapped
from laneway.client.listening import Lines, listened
from laneway.client.mapping import CHUNK, OPEN, mapped
from laneway.client.place import place
from laneway.client.plans import asked, get, listed, send
from laneway.client.steps import READ, Answer, Give, Plan, Request, Step, Wait

BUSY = {"error": {"kind": "limit", "message": "full", "hint": "later"}}


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, b"" if body is None else orjson.dumps(body))


class Server:
    """Answers each request with the next of ``answers``; an exception is raised."""

    def __init__(self, *answers: Answer | ServerUnreachable | bytes) -> None:
        self._answers = iter(answers)
        self.steps: list[Step] = []
        self.given: list[Any] = []

    @property
    def waits(self) -> list[float]:
        return [step.seconds for step in self.steps if isinstance(step, Wait)]

    @property
    def requests(self) -> list[Request]:
        return [step for step in self.steps if isinstance(step, Request)]

    def run(self, plan: Plan[Any]) -> Any:
        try:
            step = next(plan)
            while True:
                self.steps.append(step)
                if isinstance(step, Give):
                    self.given.append(step.item)
                if isinstance(step, Give | Wait):
                    step = plan.send(None)
                    continue
                came = next(self._answers)
                step = plan.throw(came) if isinstance(came, ServerUnreachable) else plan.send(came)
        except StopIteration as end:
            return end.value


def away(*, sent: bool = True) -> ServerUnreachable:
    return ServerUnreachable("gone", sent=sent)


def test_who_has_no_room_is_asked_again_when_it_says_so() -> None:
    server = Server(answer(429, BUSY, retry_after="7"), answer(503, BUSY), away(), answer(200, {}))
    assert server.run(asked(send("/tasks", {"key": "k"}), 60)).status == 200
    assert 7 <= server.waits[0] <= 8.4
    assert max(server.waits[1:]) < 2
    assert len({request.body for request in server.requests}) == 1, "the same key each time"


def test_patience_ends() -> None:
    server = Server(answer(429, BUSY, retry_after="7"), answer(429, BUSY, retry_after="54"))
    with pytest.raises(LimitError, match="full") as refused:
        server.run(asked(get("/tasks"), 60))
    assert refused.value.hint == "later"
    assert len(server.waits) == 1, "it does not wait for what it will not live to see"
    with pytest.raises(ServerUnreachable):
        Server(*[away()] * 99).run(asked(get("/tasks"), 60))


def test_what_may_not_be_done_twice_is_sent_again_only_when_it_was_not_sent() -> None:
    once = send("/tasks/1/retry", again=False)
    with pytest.raises(ServerUnreachable):
        Server(away(), answer(200, {})).run(asked(once, 60))
    with pytest.raises(Exception, match="502"):
        Server(answer(502)).run(asked(once, 60))
    assert Server(away(sent=False), answer(429, BUSY), answer(200, {})).run(asked(once, 60)).status == 200
    assert Server(answer(502), answer(200, {})).run(asked(get("/tasks"), 60)).status == 200


def test_refusals_are_laneways_own_errors() -> None:
    cases: list[tuple[Answer, type[Exception]]] = [
        (answer(404, {"error": {"kind": "not_found", "message": "no", "hint": ""}}), NotFoundError),
        (answer(401, {"error": {"kind": "auth", "message": "no", "hint": ""}}), AuthError),
        (answer(307, None, location="https://evil.example/"), UsageError),
        (answer(500, {"detail": "no"}), Exception),
        (Answer(500, {}, b"<html>"), Exception),
        (answer(400, {"error": "no"}), Exception),
    ]
    for said, kind in cases:
        server = Server(said)
        with pytest.raises(kind):
            server.run(asked(get("/"), 60))
        assert server.waits == []


def test_lists_are_read_to_their_end_over_empty_pages() -> None:
    pages = [{"data": [1, 2], "next": 7}, {"data": [], "next": 3}, {"data": [3], "next": None}]
    server = Server(*[answer(200, page) for page in pages])
    server.run(listed("/tasks", {"state": ["failed", "ready"], "lane": "a&b"}, lambda one: one, 60))
    assert server.given == [1, 2, 3]
    assert server.requests[0].path == "/tasks?state=failed&state=ready&lane=a%26b"
    assert server.requests[2].path.endswith("&cursor=3")


STREAM = (
    b'retry: 2000\n\nid: 5\nevent: figures\ndata: {"tasks":{}}\n\n'
    b': still here\n\nid: 6\nevent: ended\ndata: {"id":1}\n\n'
)


@given(st.lists(st.integers(0, len(STREAM))))
def test_events_are_read_wherever_pieces_end(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    lines = Lines()
    found = [event for a, b in pairwise(places) for event in lines.feed(STREAM[a:b])]
    assert [(one.name, one.id, one.data) for one in found] == [
        ("figures", "5", {"tasks": {}}),
        ("ended", "6", {"id": 1}),
    ]


def test_a_stream_that_breaks_is_read_on_behind_what_was_read() -> None:
    half = STREAM.index(b": still")
    server = Server(answer(200), STREAM[:half], away(), away(), answer(200), STREAM[half:], b"")
    plan = listened("/events", None, 60)
    server.run(plan)  # until the answers are used up
    assert [one.id for one in server.given] == ["5", "6"]
    assert [request.headers.get("Last-Event-ID") for request in server.requests] == [None, "5", "5", "6"]
    assert READ in server.steps


def bulk(request: Request) -> list[Any]:
    return [orjson.loads(line) for line in (request.body or b"").splitlines()]


class Desk:
    """Carries a map out in memory: what was asked for last ends first; every second request breaks off after it was
    taken."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.most_open = self.calls = 0
        self.done: set[int] = set()

    def run(self, plan: Plan[None]) -> Iterator[Any]:
        step = next(plan, None)
        while step is not None:
            try:
                if isinstance(step, Give):
                    yield step.item
                    step = plan.send(None)
                elif isinstance(step, Request):
                    self.calls += 1
                    said = self._answer(step)
                    step = plan.throw(away()) if self.calls % 2 else plan.send(answer(200, said))
                else:
                    step = plan.send(None)
            except StopIteration:
                return

    def _answer(self, request: Request) -> Any:
        body = bulk(request)
        if request.path == "/tasks/bulk":
            return {"ids": [self.ids.setdefault(one["key"], len(self.ids) + 1) for one in body]}
        ids = body[0]["ids"]
        self.most_open = max(self.most_open, len(ids))
        ended = ids[-150:]
        self.done.update(ended)
        return {"data": [{"id": id_, "state": "succeeded", **REST} for id_ in ended]}


REST: dict[str, Any] = dict.fromkeys(["key", "type", "model", "lane", "urgency"], "x") | dict.fromkeys(
    ["run_id", "tags", "submitted_at", "due_at"], 0
)


@pytest.mark.parametrize("n", [0, 1, CHUNK, OPEN, OPEN + CHUNK + 1])
def test_each_record_of_a_map_comes_back_once_whatever_breaks(n: int) -> None:
    desk, read = Desk(), 0

    def records() -> Iterator[dict[str, int]]:
        nonlocal read
        for at in range(n):
            read += 1
            yield {"doc": at}

    found: list[Mapped] = []
    for one in desk.run(mapped("review", records(), "doc" if n % 2 else None, {"lane": "l"}, 60)):
        assert read <= len(found) + OPEN + 2 * CHUNK, "records are read as there is room"
        found.append(one)
    assert sorted(one.index for one in found) == list(range(n))
    assert all(one.record == {"doc": one.index} for one in found)
    assert len(desk.ids) == n, "what was sent twice was taken once"
    assert desk.most_open <= OPEN


def test_records_with_one_key_are_one_task_and_come_back_each() -> None:
    desk = Desk()
    found = list(desk.run(mapped(None, ["a", "b", "a"], lambda text: text, {}, 60)))
    assert sorted((one.index, one.record) for one in found) == [(0, "a"), (1, "b"), (2, "a")]
    assert len({one.task.id for one in found}) == 2
    for type_, wrong in ((None, {"doc": 1}), ("review", "a")):
        with pytest.raises(UsageError, match="record 0"):
            list(desk.run(mapped(type_, [wrong], None, {}, 60)))


def test_the_server_is_where_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANEWAY_TOKEN", "secret-1")
    for url in ("http://h:81/v1", "http://h:81", "http://h:81/api/v1/"):
        found = place(url, None)
        assert (found.origin, found.base) == ("http://h:81", "/api/v1")
    assert "secret-1" not in repr(found) + repr(Client())
    assert found.headers["Authorization"] == "Bearer secret-1"
    assert place("https://h/lw", "t").base == "/lw/api/v1"
    monkeypatch.setenv("LANEWAY_URL", "https://[::1]")
    assert place(None, None).origin == "https://[::1]:443"
    for wrong in ("h:80", "ftp://h", "http://", "http://u:p@h", "http://h?x=1", "http://h:x"):
        with pytest.raises(UsageError):
            place(wrong, None)


@pytest.mark.parametrize(("one", "other"), [(Client, AsyncClient), (ClientJob, AsyncJob)])
def test_both_clients_are_the_same(one: type, other: type) -> None:
    def verbs(kind: type) -> dict[str, Any]:
        there = {name: thing for name, thing in vars(kind).items() if inspect.isfunction(thing) and name[0] != "_"}
        return {
            name: [str(p).replace("AsyncJob", "ClientJob") for p in _parameters(thing)] for name, thing in there.items()
        }

    assert verbs(one) == verbs(other)


def _parameters(thing: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(thing).parameters.values())
