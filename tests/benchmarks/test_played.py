from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.mixes import MIXES
from laneway.task import State
from tests.benchmarks.played import play, refused

TASKS = 300  # of each mix: some six seconds of its time
LOST_S = 2.5  # at most, until it is known how much the provider's buckets hold


@pytest.mark.parametrize("seed", [0, 200])
@pytest.mark.parametrize("name", MIXES)
def test_a_mix_is_done_without_a_refusal_and_close_to_the_ideal(name: str, seed: int) -> None:
    mix = MIXES[name](seed)
    mix = replace(mix, requests=mix.requests[:TASKS])
    world = play(mix)
    assert refused(world, mix) == 0
    assert set(world.states.values()) == {State.SUCCEEDED}
    assert world.seconds <= mix.ideal().makespan + LOST_S
