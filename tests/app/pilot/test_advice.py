"""What a pilot's pairs come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.app.pilot.advice import Advice, Pair, advise, figures, more, wilson

UNIT = st.floats(0, 1)
COST = st.floats(1e-6, 1.0)


def pairs(good: int, n: int, cheap_cost: float = 0.1) -> list[Pair]:
    return [Pair(str(i), "t", float(i < good), 1.0, cheap_cost, 1.0, i < good) for i in range(n)]


def test_wilson_is_as_in_the_books() -> None:
    share = wilson(81, 263)  # Newcombe (1998), method 3: 0.2553 to 0.3662
    assert (round(share.low, 4), round(share.high, 4)) == (0.2553, 0.3662)
    assert wilson(20, 20).high == 1.0
    assert round(wilson(20, 20).low, 4) == 0.8389


@given(st.lists(st.builds(Pair, st.just("k"), st.just("t"), UNIT, UNIT, COST, COST, st.booleans()), min_size=1))
def test_intervals_hold_their_values(found: list[Pair]) -> None:
    said = figures(found)
    for share in filter(None, (said.kept, said.saved)):
        assert share.low <= share.value + 1e-9
        assert share.value <= share.high + 1e-9


@pytest.mark.parametrize(
    ("good", "n", "cost", "floor", "advice"),
    [
        (200, 200, 0.1, 0.98, Advice.CHEAP),
        (50, 50, 0.1, 0.98, Advice.MORE),
        (50, 50, 0.1, 0.9, Advice.CHEAP),
        (30, 50, 0.1, 0.98, Advice.LEARNED),
        (5, 50, 0.1, 0.98, Advice.STRONG),
        (200, 200, 0.99, 0.98, Advice.STRONG),
    ],
)
def test_the_advice(good: int, n: int, cost: float, floor: float, advice: Advice) -> None:
    assert advise(figures(pairs(good, n, cost)), floor) is advice


def test_so_many_more_settle_it() -> None:
    found = figures(pairs(50, 50))
    further = more(found, 0.98)
    assert further is not None
    assert advise(figures(pairs(50 + further, 50 + further)), 0.98) is Advice.CHEAP
    assert advise(figures(pairs(50 + further - 20, 50 + further - 20)), 0.98) is Advice.MORE
    assert more(figures(pairs(49, 50)), 0.98) is None, "so near the floor that no pilot tells"


def test_without_prices_the_saving_is_unknown() -> None:
    assert figures([Pair("a", "t", 1.0, 1.0, None, 1.0, True)]).saved is None


def test_a_strong_model_that_is_never_right_says_nothing() -> None:
    found = figures([Pair(str(i), "t", 0.0, 0.0, 0.1, 1.0, False) for i in range(40)])
    assert found.kept is None
    assert advise(found, 0.98) is Advice.MORE
