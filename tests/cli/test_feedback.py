"""``laneway feedback`` on the real command."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from laneway.simulator.process import SimulatorProcess
from tests.cli.test_steer import configure
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]


def answered(desk: Desk, simulate: Simulate, n: int = 3) -> None:
    simulate()
    configure(desk)
    desk.batch("tasks.jsonl", n, model="small")
    assert desk.run("run", "tasks.jsonl").code == 0


def said(desk: Desk, task: str) -> dict[str, Any]:
    return {word["field"]: word["value"] for word in desk.run("explain", task, "--json").json["feedback"]}


def test_an_answer_is_judged_and_the_task_explains_it(desk: Desk, simulate: Simulate) -> None:
    answered(desk, simulate)
    assert desk.run("feedback", "t1", "bad", "--note", "wrong\x1b[31m sum").out == "quality = bad kept for 1 task\n"
    assert desk.run("feedback", "t1", "fraud").out == "category = fraud kept for 1 task\n"
    desk.run("feedback", "t1", "P1", "--field", "urgency")
    assert said(desk, "t1") == {"category": "fraud", "quality": "bad"}, "P1 is no urgency here"
    assert desk.run("feedback", "t1", "Urgent", "--field", "urgency", "--json").json == {"kept": 1, "unanswered": 0}
    assert said(desk, "t1") == {"category": "fraud", "quality": "bad", "urgency": "urgent"}
    shown = desk.run("explain", "t1").out
    assert "quality: bad (small's answer)" in shown
    assert "wrong [31m sum" in shown
    desk.run("feedback", "t1", "good")
    assert said(desk, "t1")["quality"] == "good", "the last word counts"


def test_what_cannot_be_said_is_refused(desk: Desk, simulate: Simulate) -> None:
    answered(desk, simulate, 1)
    desk.run("submit", "ask", "text=hi", "--key", "waits")
    for words, kind, told in (
        ((), "usage", "what is to be said"),
        (("good",), "usage", "which tasks?"),
        (("t0", "goood"), "usage", "meant to be 'good'"),
        (("t0", "maybe", "--field", "quality"), "usage", "no judgement"),
        (("t0", "soon", "--field", "urgency"), "usage", "soon"),
        (("t0", "hard", "--field", "complexity"), "usage", "low, medium, high"),
        (("t0", " "), "usage", "1 to 200"),
        (("t0", "x" * 201), "usage", "1 to 200"),
        (("t7", "bad"), "not_found", "no task 't7'"),
        (("waits", "good"), "usage", "no answer that could be good: it is ready"),
        (("t0", "bad", "--file", "x.csv"), "usage", "leave the tasks"),
    ):
        error = desk.run("feedback", *words, "--json").json["error"]
        assert error["kind"] == kind, error
        assert told in error["message"] + error["hint"]
    assert desk.run("feedback", "waits", "legal", "--json").json["kept"] == 1, "a label may be said of any task"


def test_many_at_once(desk: Desk, simulate: Simulate) -> None:
    answered(desk, simulate, 5)
    desk.run("submit", "ask", "text=hi", "--key", "t9")
    out = desk.run("feedback", "bad", "--where", "key=t*").out
    assert out == ("quality = bad kept for 5 tasks\n1 left out: they have no answer that could be good or bad\n")
    assert desk.run("feedback", "t0", "t1", "good", "--json").json == {"kept": 2, "unanswered": 0}
    assert [said(desk, f"t{i}")["quality"] for i in range(3)] == ["good", "good", "bad"]
    assert desk.run("feedback", "run", "1", "letters", "--json").json["kept"] == 5
    assert desk.run("feedback", "good", "--where", "state=ready", "--json").json == {"kept": 0, "unanswered": 1}


def test_a_table_of_words(desk: Desk, simulate: Simulate) -> None:
    answered(desk, simulate, 4)
    desk.write("words.csv", "custom_id,feedback,note\nt0,good,\nt1,bad,too long\nt2,1,\n")
    assert desk.run("feedback", "--file", "words.csv", "--field", "quality", "--json").json["kept"] == 3
    assert [said(desk, f"t{i}") for i in range(3)] == [{"quality": q} for q in ("good", "bad", "good")]
    desk.write("labels.jsonl", "".join(json.dumps({"task": i + 1, "category": f"c{i}"}) + "\n" for i in range(4)))
    assert desk.run("feedback", "--file", "labels.jsonl", "--field", "category").out == "word kept for 4 tasks\n"
    assert said(desk, "t0") == {"quality": "good", "category": "c0"}
    desk.write("broken.csv", "task,feedback\nt0,bad\nt1,perfct\nnobody,good\n,good\n")
    error = desk.run("feedback", "--file", "broken.csv", "--field", "quality", "--json").json["error"]
    assert error["kind"] == "input"
    for told in ("line 3: 'perfct' is no judgement", "line 4: there is no task 'nobody'", "line 5: no task under"):
        assert told in error["message"]
    assert said(desk, "t0")["quality"] == "good", "all rows or none"


def test_hidden_content_hides_the_note(desk: Desk, simulate: Simulate) -> None:
    answered(desk, simulate, 1)
    desk.run("feedback", "t0", "bad", "--note", "names Mrs Jones")
    configure(desk)
    config = (desk.folder / "laneway.toml").read_text()
    desk.write("laneway.toml", "hide_content = true\n" + config)
    shown = desk.run("explain", "t0")
    assert "Jones" not in shown.out
    assert "quality: bad" in shown.out


def test_from_python(desk: Desk, simulate: Simulate) -> None:
    simulate()
    configure(desk)
    desk.write(
        "talk.py",
        """
import asyncio
from laneway import Laneway

async def main():
    async with Laneway() as lw, lw.worker():
        job = await lw.submit("ask", text="hello", key="k")
        await job.result()
        await lw.feedback(job, "bad", note="no")
        await lw.feedback("k", "letters", field="category")

asyncio.run(main())
lw = Laneway()
lw.sync.feedback(lw.sync.job("k"), "good")
lw.sync.close()
""",
    )
    done = desk.python("talk.py")
    assert done.code == 0, done.err
    assert said(desk, "k") == {"category": "letters", "quality": "good"}
