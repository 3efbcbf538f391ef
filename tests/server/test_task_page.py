"""One task as its page tells it: what happened when, what was asked and answered."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from laneway.app.explaining import explanation
from laneway.server.dashboard.texts import answered_parts, asked_parts, shortened
from laneway.server.dashboard.timeline import Event, timeline
from laneway.task import Failure, FailureClass, Route, Spec, State, Task, Wire
from tests.server.door import Door
from tests.server.served import CONFIG
from tests.store.helpers import LEASE, NOW, PYTHON, ROUTE, SPEC, claim, finish, new, run_with, settlement

LONG = '{"messages":[{"role":"user","content":"' + "ä" * 60_000 + '"}]}'
SECRET = '{"messages":[{"role":"user","content":"secret"}]}'

BODIES = ("{}", '{"messages":7}', '{"messages":["x",{"role":1}]}', '{"input":"hello"}', "[]")
ANSWERS = (b'{"x":[1]}', b'{"choices":{"a":1},"content":[1],"output":[1],"data":[{}]}', b"no JSON")


async def submit(door: Door, body: str, spec: Spec = SPEC, route: Route = ROUTE) -> None:
    """Under the key k, with a worker that may claim it."""
    await door.lw.store.join("w", LEASE, NOW)
    await run_with(door.lw.store, [new("k", body, spec=spec, route=route, tags=("x",))])


async def happened(door: Door) -> list[Event]:
    found = await explanation(door.lw, await door.lw.store.find_task("k"))
    return [event for event in timeline(found, NOW + 9) if "became" not in event.title]


async def test_a_task_tells_its_story(door: Door) -> None:
    await submit(door, "{}")
    store = door.lw.store
    (first,) = await claim(store, now=NOW + 2)
    assert [event.title for event in await happened(door)] == ["Submitted", "Triaged", "Try 1 began"]
    await store.settle("w", [settlement(first, State.READY)], NOW + 3)
    assert [event.title for event in await happened(door)][2:] == ["Try 1: transient", "It waits for its turn"]
    (second,) = await claim(store, now=NOW + 5)
    await store.settle("w", [settlement(second)], NOW + 6)
    told = await happened(door)
    assert [event.title for event in told[2:]] == ["Try 1: transient", "Try 2: answered", "Succeeded"]
    assert [event.at - NOW for event in told] == [0, 0, 2, 5, 6]
    assert told[1].detail == "lane general, standard, small, then strong"
    assert told[2].detail.startswith("small on main, 500 ms: no good")
    page = (await door.client().get("/tasks/k")).text
    for said in (
        "Try 2: answered",
        "<dt>Cost</dt><dd>$0.0100</dd>",
        "<dd>x</dd>",
        'data-label="Tokens in" class="n">90<',
    ):
        assert said in page


async def test_requests_and_answers_are_told_turn_by_turn(door: Door) -> None:
    said = {"role": "user", "content": [{"type": "text", "text": "what is it?"}, {"type": "image_url"}]}
    await submit(door, orjson.dumps({"messages": [{"role": "system", "content": "be brief"}, said]}).decode())
    answer = orjson.dumps({"choices": [{"message": {"content": "<script>a cat</script>"}}]})
    await finish(door.lw.store, await claim(door.lw.store), output=answer)
    task = await door.lw.store.find_task("k")
    assert asked_parts(task) == [("system", "be brief"), ("user", "what is it?\n[image_url]")]
    assert answered_parts(task) == [("answer", "<script>a cat</script>")]


@pytest.mark.parametrize(
    ("wire", "body", "parts"),
    [
        (Wire.CHAT, {"messages": ["x", {"role": "user"}]}, [("user", "x"), ("user", '{\n  "role": "user"\n}')]),
        (Wire.MESSAGES, {"system": "be brief", "messages": 7}, [("system", "be brief"), ("input", "7")]),
        (Wire.RESPONSES, {"instructions": "be brief", "input": "hello"}, [("system", "be brief"), ("input", "hello")]),
        (Wire.RESPONSES, {"input": [{"role": "user", "content": "hello"}]}, [("user", "hello")]),
        (Wire.EMBEDDINGS, {"input": ["a", "b"]}, [("input", "a\nb")]),
        (Wire.CHAT, {"input": "hello"}, [("request", '{\n  "input": "hello"\n}')]),
    ],
)
async def test_requests_of_every_format_are_told(
    door: Door, wire: Wire, body: dict[str, object], parts: list[tuple[str, str]]
) -> None:
    await submit(door, orjson.dumps(body).decode(), Spec("odd", wire))
    assert asked_parts(await door.lw.store.find_task("k")) == parts


@pytest.mark.parametrize("body", ["{}", '{"messages":7}', '{"messages":["x",{"role":1}]}', '{"input":"hello"}', "[]"])
@pytest.mark.parametrize(
    "answer", [b'{"x":[1]}', b'{"choices":{"a":1},"content":[1],"output":[1],"data":[{}]}', b"no JSON"]
)
@pytest.mark.parametrize("wire", list(Wire))
async def test_whatever_was_asked_and_answered_is_shown(door: Door, wire: Wire, body: str, answer: bytes) -> None:
    spec, route = (Spec("odd", wire), ROUTE) if wire is not Wire.PYTHON else PYTHON
    await submit(door, body, spec, route)
    await finish(door.lw.store, await claim(door.lw.store), output=answer)
    task: Task = await door.lw.store.find_task("k")
    for parts in (asked_parts(task), answered_parts(task)):
        assert parts
        assert all(role and text for role, text in parts)
    assert (await door.client().get("/tasks/k")).status_code == 200


async def test_what_is_long_is_cut_and_can_be_read_on(door: Door) -> None:
    await submit(door, LONG)
    (part,) = shortened(asked_parts(await door.lw.store.find_task("k")))
    assert (part.cut, part.length, len(part.text)) == (True, 60_000, 4_000)
    client = door.client()
    assert len((await client.get("/tasks/k")).content) < 100_000
    whole = [(await client.get(f"/tasks/k/text?at={at}")).text.count("ä") for at in (0, 60_000)]
    assert sum(whole) == 60_000


@pytest.mark.parametrize("hidden", [True, False])
async def test_content_may_be_hidden(open_door: Callable[..., Door], hidden: bool) -> None:
    door = open_door(f"{CONFIG}[server]\nhide_content = true\n") if hidden else open_door()
    await submit(door, SECRET)
    bad = Failure(FailureClass.OUTPUT, "schema", "secret is not one of the labels")
    await finish(door.lw.store, await claim(door.lw.store), State.FAILED, failure=bad)
    page = (await door.client().get("/tasks/k")).text
    assert ("secret" not in page, "Text in and out is hidden" in page) == (hidden, hidden)
    assert (await door.client().get("/tasks/k/text")).status_code == (403 if hidden else 200)
