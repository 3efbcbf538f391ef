"""A fallback stands in for a model that answers far more slowly than it used to."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.dispatch.ending import StopReason
from laneway.dispatch.tempo import FAR, LEAST_S, Tempo, Tempos
from laneway.providers.model import Limits, Model
from laneway.simulator.options import Options
from laneway.task import NewTask, State
from tests.dispatch.practice import Practice, account, practise, prompt

QUICK = Options(latency=0.5, spread=0.2)
SLOTS = 10
DONE = StopReason.DONE


def two(fallback_slots: int = SLOTS) -> dict[str, Any]:
    """The model ``gpt`` on an account of its own, and ``claude`` on another."""
    oa = account("oa", limits=Limits(concurrency=SLOTS))
    an = account("an", limits=Limits(concurrency=fallback_slots))
    models = [Model("gpt", "gpt", (oa,), 1.0, 1.0), Model("claude", "claude", (an,), 1.0, 1.0)]
    return {"accounts": [oa, an], "models": models, "options": {"oa": QUICK, "an": QUICK}}


def work(n: int, fallbacks: tuple[str, ...] = ("claude",), name: str = "t", due: float = 0.0) -> list[NewTask]:
    return [prompt(f"{name}{i}", model="gpt", fallbacks=fallbacks, due=due + i / 1000) for i in range(n)]


def changing(changes: Mapping[float, Mapping[str, Any]], name: str = "oa") -> Callable[[Practice], Awaitable[None]]:
    """At these times one account's provider changes."""

    async def change(world: Practice) -> None:
        for at, options in changes.items():
            await asyncio.sleep(at - world.seconds)
            world.change(options, name)

    return change


def served(world: Practice, since: float = 0.0, until: float = 1e9) -> Counter[str]:
    return Counter(call.model for call in world.calls if since <= call.at < until)


def test_tasks_go_to_the_fallback_while_the_model_is_far_slower_and_home_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world = practise(work(2000), **two(), meanwhile=changing({10.0: {"latency": 8.0}, 50.0: {"latency": 0.5}}), seed=1)
    assert world.stop is not None
    assert world.stop.reason is DONE
    assert set(world.states.values()) == {State.SUCCEEDED}
    assert served(world, until=10)["claude"] == 0
    assert served(world, 14, 50)["claude"] > 0.9 * 36 * SLOTS / 0.5, "as many as it admits"
    assert 0.7 * 36 * SLOTS / 8 < served(world, 14, 50)["gpt"] < 1.5 * 36 * SLOTS / 8, "the slow one does what is left"
    assert served(world, since=62)["claude"] == 0
    assert not [call for call in world.calls if call.failure]
    said = [record.message for record in caplog.records if "gpt" in record.message]
    assert len(said) == 2, "once, and once that it is over"
    assert said[0].startswith("model gpt is far slower than usual (answers take over 2 s, usually 0.5 s)")


def test_what_comes_now_and_then_waits_for_the_slow_model_only_to_see_how_it_fares() -> None:
    arrivals = [(at / 2, prompt(f"a{at}", model="gpt", fallbacks=("claude",))) for at in range(400)]
    world = practise(
        [], **two(), arrivals=arrivals, meanwhile=changing({60.0: {"latency": 6.0}, 140.0: {"latency": 0.5}}), seed=2
    )
    slow = served(world, 85, 140)
    assert slow["gpt"] <= 55 / 6 + 2, "one call at a time looks"
    assert slow["claude"] >= 110 - slow["gpt"]
    assert served(world, since=160) == {"gpt": 80}


def test_a_narrow_lane_is_not_used_for_slow_calls() -> None:
    world = practise(work(1500), **two(), lanes={"general": 5}, meanwhile=changing({20.0: {"latency": 6.0}}), seed=8)
    assert world.seconds < 1500 / (5 - 1) * 0.5 + 20, "one looks at home"
    assert served(world, since=40)["gpt"] < 0.05 * served(world, since=40)["claude"]


def test_a_model_that_goes_on_being_slow_while_it_works_is_not_taken_for_usual() -> None:
    """The fallback does a third of it."""
    world = practise(work(1000), **two(fallback_slots=1), meanwhile=changing({8.0: {"latency": 5.0}}), seed=9)
    assert served(world, 150, 200)["gpt"] > 90
    assert served(world, 150, 200)["claude"] > 90


def test_tasks_without_a_fallback_go_on_at_home_and_hide_nobody_behind_them() -> None:
    tasks = [*work(300), *work(300, (), "alone", 1.0), *work(300, name="last", due=2.0)]
    world = practise(tasks, **two(), meanwhile=changing({8.0: {"latency": 5.0}}), seed=3)
    assert set(world.states.values()) == {State.SUCCEEDED}
    alone = [call for call in world.calls if call.key.startswith("alone")]
    assert {call.model for call in alone} == {"gpt"}
    last = [call for call in world.calls if call.key.startswith("last")]
    assert sum(call.model == "claude" for call in last) > 280
    assert max(call.at for call in last) < max(call.at for call in alone), "they need not wait for those before them"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"latency": 1.3}, "not far slower"),
        ({"spread": 1.0}, "answers differ widely"),
    ],
)
def test_nobody_goes_for_less(change: dict[str, Any], why: str) -> None:
    world = practise(work(1500), **two(), meanwhile=changing({10.0: change}), seed=4)
    assert served(world) == {"gpt": 1500}, why


def test_a_fallback_that_is_as_slow_is_no_better() -> None:
    both = {"options": {"oa": QUICK, "an": Options(latency=4.0, spread=0.2)}}
    world = practise(
        [*work(800), *[prompt(f"c{i}", model="claude") for i in range(200)]],
        **{**two(), **both},
        meanwhile=changing({20.0: {"latency": 5.0}}),
        seed=5,
    )
    assert not [call for call in world.calls if call.key.startswith("t") and call.model == "claude"]


def test_long_tasks_are_not_slow_ones() -> None:
    """First short ones are written, then long ones of the same type."""
    options = {name: Options(latency=0.2, spread=0.2, token_latency=0.01) for name in ("oa", "an")}
    short = [prompt(f"s{i}", model="gpt", max_tokens=20, fallbacks=("claude",)) for i in range(300)]
    long = [prompt(f"l{i}", model="gpt", max_tokens=500, fallbacks=("claude",), due=9.0) for i in range(200)]
    world = practise([*short, *long], **{**two(), "options": options}, seed=6)
    assert served(world)["claude"] == 0


def test_of_two_accounts_the_slow_one_is_left_nearly_alone() -> None:
    having = [account("oa"), account("an")]
    models = [Model("gpt", "gpt", tuple(having), 1.0, 1.0)]
    world = practise(
        [prompt(f"t{i}", model="gpt") for i in range(3000)],
        accounts=having,
        models=models,
        options={"oa": Options(latency=0.5, concurrency=20), "an": Options(latency=0.5, concurrency=20)},
        meanwhile=changing({20.0: {"latency": 5.0}}),
        seed=7,
    )
    calls = Counter(call.account for call in world.calls if 30 <= call.at < 50)
    assert calls["an"] > 0.85 * 20 * 20 / 0.5, "nothing is lost with the other"
    assert 0 < calls["oa"] < 0.2 * calls["an"]


@given(seed=st.integers(0, 10_000), sigma=st.floats(0.0, 1.1))
def test_the_same_latencies_never_count_as_far_slower(seed: int, sigma: float) -> None:
    rng, tempo = random.Random(seed), Tempo()
    for _ in range(2000):
        tempo.took(rng.lognormvariate(0.0, sigma), 1.0)
        assert not tempo.is_slow


@given(seed=st.integers(0, 10_000), sigma=st.floats(0.0, 0.6), times=st.floats(2.5 * FAR, 100.0))
def test_far_slower_is_seen_within_25_calls_and_over_within_50(seed: int, sigma: float, times: float) -> None:
    rng, tempo = random.Random(seed), Tempo()

    def calls(n: int, factor: float) -> list[bool]:
        seen = []
        for _ in range(n):
            tempo.took(factor * rng.lognormvariate(0.0, sigma), 1.0)
            seen.append(tempo.is_slow)
        return seen

    calls(100, 1.0)
    seen = calls(100, times)
    assert all(seen[25:])
    over = calls(100, 1.0)
    assert not any(over[50:])
    assert sum(a != b for a, b in zip([False, *seen, *over], [*seen, *over, False], strict=True)) <= 2, "no to and fro"


def test_under_a_second_nothing_is_far_slower() -> None:
    tempo = Tempo()
    for _ in range(100):
        tempo.took(0.9 * LEAST_S, 0.01)
    assert not tempo.is_slow


def test_a_model_of_which_nothing_is_known_is_worth_a_try() -> None:
    tempos = Tempos()
    for _ in range(100):
        tempos["gpt"].took(10.0, 1.0)
    assert tempos.faster("claude", "gpt", None)
    assert tempos.faster("claude", "gpt", 4.0)
    assert not tempos.faster("claude", "gpt", 6.0)
