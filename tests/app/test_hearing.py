"""Questions in simulated time: whatever becomes of them, every task is done once, and in time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from laneway import Laneway
from laneway.app.hearing import Hearing
from laneway.app.inquiries import Asked
from laneway.clock import Clock
from laneway.config.models import Config
from laneway.dispatch.desk import Admission
from laneway.dispatch.ending import StopReason
from laneway.providers.model import Account, Limits, Model, Reply
from laneway.store.steering import Selector
from laneway.task import Claimed, Failure, FailureClass, NewTask, Outcome, Spec, State, Usage, Wire
from laneway.triage.classifier import CLASSIFY
from laneway.triage.patient import Patient
from tests.app.test_inquiries import CONFIG
from tests.dispatch.world import staged
from tests.virtual import EPOCH, run_virtual

WITHIN = 20.0
SERVICE = 0.3
HOW = ["good", "good", "late", "slow", "silent", "unclear", "nonsense", "refused", "request", "overloaded"]
FAILURES = {
    "nonsense": Failure(FailureClass.OUTPUT, "not_json", "what?"),
    "refused": Failure(FailureClass.TRANSIENT, "rate_limit_exceeded", "slow down", 429, refused=True),
    "request": Failure(FailureClass.REQUEST, "model_not_found", "no such model", 404),
    "overloaded": Failure(FailureClass.TRANSIENT, "overloaded", "busy", 503),
}


class Nurse:
    """The classifier's provider: each call ends in its own way."""

    def __init__(self, how: Sequence[str], rng: random.Random) -> None:
        self._how = list(how)
        self._rng = rng
        self.calls = 0

    async def __call__(self, task: Claimed, admission: Admission | None) -> Reply:
        how = self._how[self.calls % len(self._how)]
        self.calls += 1
        latency = {"late": WITHIN + 5, "silent": WITHIN, "slow": WITHIN - 1}.get(how, self._rng.uniform(0.1, 2.0))
        await asyncio.sleep(latency)
        if how in FAILURES:
            return Reply(None, None, FAILURES[how], latency)
        if how == "silent":
            return Reply(None, None, Failure(FailureClass.TRANSIENT, "timeout", "no answer"), latency)
        texts = orjson.loads(orjson.loads(task.body)["messages"][1]["content"])
        label = "unclear" if how == "unclear" else "fraud"
        said = orjson.dumps({number: {"category": label} for number in texts}).decode()
        output = orjson.dumps({"choices": [{"message": {"content": said}}]})
        return Reply(output, Usage(100, 20), None, latency)


async def work(task: Claimed, admission: Admission | None) -> Reply:
    await asyncio.sleep(SERVICE)
    return Reply(b"{}", Usage(10, 10), None, SERVICE)


@given(
    st.integers(1, 25),
    st.lists(st.sampled_from(HOW), min_size=1, max_size=6),
    st.integers(0, 99),
    st.integers(1, 5),
)
@settings(max_examples=40, deadline=None)
def test_every_task_is_done_once_and_in_time(n: int, how: list[str], seed: int, slots: int) -> None:
    lw = Laneway(Config.model_validate(CONFIG))
    nurse = Nurse(how, random.Random(seed))
    hearing: list[Hearing] = []

    async def chat(task: Claimed, admission: Admission | None) -> Reply:
        return await (hearing[0] if task.spec.type == CLASSIFY else work)(task, admission)

    async def live(clock: Clock) -> None:
        main = Account("main", "openai", Wire.CHAT, "http://provider", limits=Limits(concurrency=100))
        models = {name: Model(name, name, (main,), 1.0, 1.0) for name in ("small", "strong")}
        async with staged(clock, work, models, [], watched=lambda _: chat, lanes={"triage": slots}) as stage:  # type: ignore[arg-type]
            store = stage.store
            hearing.append(Hearing(store, nurse, clock))  # type: ignore[arg-type]
            run = await store.open_run("out", info={}, max_cost=None, now=clock.now())
            inquiries = lw.inquiries()
            assert inquiries is not None
            asked = []
            for number in range(n):
                who = Patient("ticket", f"text {number}", 10, output_tokens=10)
                route = lw.triage.assess(who)
                asked.append(Asked(NewTask(b"{}", Spec("ticket", Wire.CHAT), route, EPOCH + 600, key=str(number)), who))
            asked = await inquiries.known(store, asked, clock.now())
            done = await store.submit(run, [one.task for one in asked], clock.now(), held=True)
            await inquiries.ask(store, run, asked, done, clock.now(), held=True)
            await store.seal_run(run, clock.now())
            sealed_at = clock.now()
            stop = await stage.dispatcher.run()
            assert stop.reason is StopReason.DONE
            tasks = await store.get_tasks(await store.select(Selector(run_id=run.id)))
            assert Counter(task.state for task in tasks) == {State.SUCCEEDED: n}
            for task in tasks:
                (attempt,) = await store.attempts(task.id)
                assert attempt.outcome is Outcome.OK
                assert attempt.started_at <= sealed_at + WITHIN + 2
                assert (task.lane == "fraud") == (task.route.category == "fraud")
                (question,) = await store.questions(task.id)
                if task.lane == "fraud":
                    assert question.said == {"category": "fraud"}
            told = await store.asked(run.id)
            assert told.asked == n == told.answered + told.abstained + told.unheard
            if set(how) == {"good"}:
                assert told.answered == n or slots == 1
            run = await store.get_run(run.id)
            assert len(await store.results_after(run, run.cursor, 100)) == n
            assert await store.check() == []

    run_virtual(live)
