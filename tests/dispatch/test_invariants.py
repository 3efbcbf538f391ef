"""What always holds, however limits, latencies, faults and people are mixed. Every world is drawn from a seed.

``LANEWAY_EXAMPLES=2000 pytest tests/dispatch/test_invariants.py`` tries that many new ones of each kind; a failure
names the seed, and ``python -m tests.dispatch.troubles SEED`` (or ``mixes``) shows the world.
"""

from __future__ import annotations

import asyncio
import math
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from laneway.dispatch.retry import FREE_TRIES
from laneway.dispatch.turns import BELOW
from laneway.providers.model import Account, Limits
from laneway.simulator.options import Options
from laneway.task import Outcome, State, Urgency
from tests.conftest import MANY
from tests.dispatch.mixes import IN_HEADERS, Mix, between, mix
from tests.dispatch.practice import NETWORK_S, Call, Practice, account, practise, prompt
from tests.dispatch.troubles import A_DAY, Trouble, trouble

LEVELS = 6  # of urgency below the first: three classes, and those who rose out of two of them, and one to spare
seeds = st.integers(0, 2**32 - 1)


def tried(few: int) -> Callable[[Any], Any]:
    """So many worlds, the same every time; or as many new ones as the environment asks for."""
    return settings(max_examples=MANY or few, suppress_health_check=list(HealthCheck))


class TestWhateverGoesWrong:
    @tried(15)
    @given(seeds)
    def test_every_task_ends_and_the_ledger_adds_up(self, seed: int) -> None:
        one = trouble(seed)
        world = one.play()
        assert all(state.ended for state in world.states.values()), world.stop
        assert len(world.states) == len(one.all_tasks)
        the_ledger_says_what_happened(one, world)
        nothing_is_held(world)
        nothing_stays_reserved(world)

    @tried(10)
    @given(seeds)
    def test_what_is_broken_off_goes_back_and_holds_nothing(self, seed: int) -> None:
        rng = random.Random(seed)

        async def break_off(world: Practice) -> None:
            await asyncio.sleep(between(rng, 0.01, 10.0))
            world.dispatcher.abort() if rng.random() < 0.5 else world.dispatcher.drain()

        async def then(world: Practice) -> None:
            nothing_is_held(world)
            await world.store.leave("w", world.clock.now())
            assert await world.store.check() == []
            for task in await world.store.get_tasks(range(1, len(world.submitted) + 1)):
                assert task.state is not State.RUNNING
                assert all(attempt.outcome is not None for attempt in await world.store.attempts(task.id))

        one = replace(trouble(seed), arrivals=[], steered=False)
        one.play(then=then, meanwhile=break_off)


class TestWhoGoesFirst:
    @tried(8)
    @given(seeds)
    def test_nothing_delays_immediate_work_and_nothing_starves(self, seed: int) -> None:
        world = contest(seed)
        latest = dict.fromkeys(Urgency, 0)  # start of each class
        for task, came, started in waits(world):
            if task.urgency is Urgency.IMMEDIATE:
                lower = sum(call.urgency > task.urgency for call in world.calls[came:started])
                assert lower <= (started - came) / BELOW + 1, task.key
            assert started - max(came, latest[task.urgency]) <= BELOW * LEVELS, f"the class of {task.key} starves"
            latest[task.urgency] = started

    @tried(8)
    @given(seeds)
    def test_lanes_share_by_weight_and_who_is_due_first_goes_first(self, seed: int) -> None:
        rng = random.Random(seed)
        weights = {f"lane{i}": float(rng.randint(1, 6)) for i in range(rng.randint(2, 4))}
        tasks = [
            prompt(
                str(i), lane=rng.choice(list(weights)), model=rng.choice(("small", "strong")), due=rng.uniform(1e6, 2e6)
            )
            for i in range(150)
        ]
        world = practise(tasks, options=Options(latency=0.2), accounts=[few_at_once(rng)], weights=weights)
        left, done = Counter(task.route.lane for task in tasks), Counter[str]()
        for call in world.calls:
            left[call.lane] -= 1
            done[call.lane] += 1
            if not all(left.values()):
                break
            for lane, weight in weights.items():
                due = weight / sum(weights.values()) * done.total()
                assert abs(done[lane] - due) <= len(weights), f"{lane} after {done.total()} starts"
        order = [(call.lane, call.model, next(t.due_at for t in tasks if t.key == call.key)) for call in world.calls]
        for cell in {(lane, model) for lane, model, _ in order}:
            dues = [due for lane, model, due in order if (lane, model) == cell]
            assert dues == sorted(dues)


class TestLimits:
    @tried(12)
    @given(seeds, st.sampled_from((0.4, 1.0, 2.0)))
    @example(15000, 0.4)  # answers of one length, whatever they may have
    @example(136, 0.4)
    def test_limits_in_the_config_are_used_up_and_never_passed(self, seed: int, off: float) -> None:
        """By the simulator's own buckets, of 2 s or more. Where it charges what nobody can know beforehand, a few calls
        may come too early."""
        one = mix(seed, told="config", off=off)
        one.options.burst = max(2.0, one.options.burst)
        guessed = off < 1.0 or not {"output_tpm", "tpm"}.isdisjoint(one.kinds)
        world = one.play()
        assert world.books()["rate_limited"] <= (5 if guessed else 0)
        assert world.seconds <= 1.2 * one.ideal_s() + 3.0

    @tried(6)
    @given(seeds)
    def test_limits_that_headers_confirm_are_never_passed(self, seed: int) -> None:
        """By the simulator's own buckets, of 1 s or more, whatever the headers lend of them. Where it charges output
        on arrival, whose length nobody can know beforehand, one call may come too early."""
        one = confirmed(seed)
        world = one.play()
        guessed = one.house == "anthropic" and not {"output_tpm", "tpm"}.isdisjoint(one.kinds)
        assert set(world.states.values()) == {State.SUCCEEDED}
        assert world.books()["rate_limited"] <= (1 if guessed else 0)

    @tried(6)
    @given(seeds, st.floats(1.0, 4.0), st.sampled_from((0.5, 0.7, 1.5)))
    def test_a_limit_that_changes_is_passed_until_the_first_reply_and_no_longer(
        self, seed: int, at: float, factor: float
    ) -> None:
        one = confirmed(seed, known=True)
        limits = {kind: getattr(one.options, kind) * factor for kind in one.kinds}
        world = one.play(changes={at: limits})
        told_at = min((call.ended_at or at for call in world.calls if call.at > at), default=at)
        second = min((limits[kind] / 60 for kind in one.kinds if kind != "rpm"), default=math.inf)
        for call in world.calls:
            if call.failure is not None and call.size.input_tokens + call.size.max_output_tokens <= second:
                assert at - NETWORK_S * 5 <= call.at <= told_at
        assert set(world.states.values()) == {State.SUCCEEDED}

    @tried(8)
    @given(seeds)
    def test_limits_that_nobody_told_are_found_without_a_storm(self, seed: int) -> None:
        one = mix(seed, told="nothing")
        world = one.play()
        assert set(world.states.values()) == {State.SUCCEEDED}
        assert world.books()["rate_limited"] <= 15 + 0.05 * len(one.tasks)
        assert world.seconds <= 2.0 * one.ideal_s() + 30.0


def confirmed(seed: int, *, known: bool = False) -> Mix:
    """Small calls and limits that are configured and in the headers, too. ``known``: on nothing that is a guess."""
    rng = random.Random(seed)
    house = rng.choice(list(IN_HEADERS))
    able = ("rpm", "input_tpm") if known and house == "anthropic" else IN_HEADERS[house]
    kinds = rng.sample(able, rng.randint(1, len(able)))
    latency = between(rng, 0.05, 1.0)
    one = mix(seed, told="both", house=house, kinds=",".join(kinds), tasks=400, latency=latency)
    one.options.burst = max(1.0, one.options.burst)
    return one


def contest(seed: int) -> Practice:
    """One busy account; work of all classes, much of it overdue, is there or comes."""
    rng = random.Random(seed)
    parts = [rng.choice((0, 1, 3, 10)) for _ in Urgency]
    parts[0] = max(parts[0], 1)
    tasks = [
        prompt(
            str(i),
            rng.choices(list(Urgency), parts)[0],
            rng.choice(("a", "b")),
            rng.choice(("small", "strong")),
            due=rng.choice((-3600.0, 2.0, 1e6)),
            max_tokens=20,
        )
        for i in range(rng.randint(60, 160))
    ]
    now = rng.randint(0, len(tasks) - 1)
    arrivals = [(rng.uniform(0.0, 5.0), task) for task in tasks[now:]]
    options = Options(latency=0.2, spread=rng.choice((0.0, 0.8)))
    return practise(tasks[:now], options=options, accounts=[few_at_once(rng)], arrivals=arrivals, seed=seed)


def few_at_once(rng: random.Random) -> Account:
    return account(limits=Limits(concurrency=rng.randint(1, 6)))


def waits(world: Practice) -> Iterator[tuple[Call, int, int]]:
    """Each call, how many had started when its task came, and how many when it started itself."""
    times = [call.at for call in world.calls]
    for number, call in enumerate(world.calls):
        yield call, bisect_right(times, world.submitted[call.key]), number


def the_ledger_says_what_happened(one: Trouble, world: Practice) -> None:
    started = Counter(call.key for call in world.calls)
    for key, attempts in world.attempts.items():
        assert len(attempts) == started[key], key
        assert all(attempt.outcome is not None for attempt in attempts), key
        good = [attempt for attempt in attempts if attempt.outcome is Outcome.OK]
        assert len(good) <= 1, "nothing paid is paid twice"
        if world.states[key] is not State.CANCELLED:
            assert (world.states[key] is State.SUCCEEDED) == bool(good), key
        if not one.steered:  # who is retried by hand begins again
            assert len(attempts) <= one.all_tasks[key].spec.max_attempts + FREE_TRIES, key
    answered = sum(a.outcome is Outcome.OK for attempts in world.attempts.values() for a in attempts)
    books = [side.provider.books for side in dict.fromkeys(world.sides.values())]
    assert answered == sum(book.total.completed - book.disconnected for book in books)


def nothing_is_held(world: Practice) -> None:
    """No place in flight, no probe, no slot of a lane."""
    assert world.dispatcher.in_flight == 0
    assert not +Counter(world.dispatcher.in_flight_by_lane())
    for desk in world.desks:
        assert desk.in_flight == 0, desk.name


def nothing_stays_reserved(world: Practice) -> None:
    """Of the requests of a day just those are gone that were made; those that were refused may be."""
    for desk in world.desks:
        calls = [call for call in world.calls if call.account == desk.name]
        unsure = sum(call.failure is not None for call in calls)
        used = desk.limiter.use(world.clock.now())["requests_per_day"] * A_DAY
        refilled = A_DAY / 86_400 * world.seconds
        assert len(calls) - unsure - refilled - 0.01 <= used <= len(calls) + 0.01, desk.name
