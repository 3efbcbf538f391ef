"""The practice world itself: what the simulator does arrives in the dispatcher as it does over the wire."""

from __future__ import annotations

from collections import Counter

from laneway.providers.model import Account, Limits, Model
from laneway.simulator.options import Options
from laneway.task import Outcome, State, Urgency, Wire
from tests.dispatch.practice import Practice, account, practise, prompt


def test_usage_cost_and_books_agree() -> None:
    async def then(world: Practice) -> None:
        run = await world.store.get_run(world.run.id)
        attempts = [
            a for task in await world.store.get_tasks(range(1, 51)) for a in await world.store.attempts(task.id)
        ]
        used = [attempt.usage for attempt in attempts if attempt.usage]
        books = world.books()
        assert sum(usage.input_tokens for usage in used) == books["input_tokens"] == 50 * 120
        assert sum(usage.output_tokens for usage in used) == books["output_tokens"] == 50 * 30
        assert run.spent == sum(attempt.cost or 0.0 for attempt in attempts)

    tasks = [prompt(str(i), input_tokens=120, max_tokens=30) for i in range(50)]
    world = practise(tasks, then, options=Options(latency=0.5, concurrency=10), accounts=[ten_at_once()])
    assert world.books()["completed"] == len(world.calls) == 50
    assert world.books()["max_in_flight"] == 10
    assert set(world.states.values()) == {State.SUCCEEDED}


def test_limits_are_learnt_from_the_headers_of_either_house() -> None:
    for provider, wire in (("openai", Wire.CHAT), ("anthropic", Wire.MESSAGES)):
        tasks = [prompt(str(i), max_tokens=30, wire=wire) for i in range(300)]
        world = practise(tasks, options=Options(rpm=600), accounts=[account(provider=provider)])
        assert world.desk().limiter.limits()["requests_per_minute"] == 600
        assert world.seconds < 45


def test_every_fault_arrives_as_what_it_is() -> None:
    faults = Options(latency=0.2, error_rate=0.1, cut_rate=0.1, rate_limit_rate=0.1, hang_nth=40, seed=7)
    small = Model("small", "small", (ten_at_once(),), timeout=20.0)

    world = practise([prompt(str(i)) for i in range(200)], options=faults, models=[small])
    codes = Counter(call.failure.code for call in world.calls if call.failure)
    books = world.books()
    outcomes = Counter(attempt.outcome for attempts in world.attempts.values() for attempt in attempts)
    assert outcomes[Outcome.RATE_LIMITED] == books["rate_limited"]
    assert codes["rate_limit_exceeded"] == books["rate_limited"] > 0
    assert codes["server_error"] == books["errors"] > 0
    assert codes["connection"] == books["cut"] > 0
    assert codes["timeout"] == books["hung"] == 1
    assert books["in_flight"] == 0


def test_the_world_changes_in_mid_run() -> None:
    world = practise(
        [prompt(str(i)) for i in range(400)],
        options=Options(latency=0.1, rpm=600),
        accounts=[account(limits=Limits(requests_per_minute=600))],
        changes={20.0: {"rpm": 300}},
        outages=[(30.0, 40.0)],
        arrivals=[(25.0, prompt("late", Urgency.IMMEDIATE))],
    )
    assert abs(world.rate(5, 20) - 10) < 0.5
    assert abs(world.rate(22, 30) - 5) < 0.5
    assert world.rate(30.1, 40) == 0
    assert world.waits(Urgency.IMMEDIATE)[0] < 0.5
    assert len(world.states) == 401
    assert set(world.states.values()) == {State.SUCCEEDED}


def test_each_account_may_be_at_a_provider_of_its_own_and_the_same_seed_brings_the_same_run() -> None:
    def once() -> Practice:
        apart = {"fast": Options(latency=0.1, spread=0.5, rpm=1200), "slow": Options(latency=1.0, rpm=300)}
        accounts = [account(name, limits=Limits(requests_per_minute=side.rpm)) for name, side in apart.items()]
        return practise([prompt(str(i)) for i in range(200)], options=apart, accounts=accounts)

    one, two = once(), once()
    assert one.books("fast")["completed"] > 2 * one.books("slow")["completed"] > 0
    assert one.calls == two.calls


def ten_at_once() -> Account:
    return account(limits=Limits(concurrency=10))
