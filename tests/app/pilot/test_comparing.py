"""How two answers are compared."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from laneway.app.pilot import comparing
from laneway.errors import InputError, UsageError
from laneway.store.results import Result
from laneway.task import State, Wire


@pytest.mark.parametrize("strong_first", [True, False])
@pytest.mark.parametrize(("better", "quality"), [("cheap", (1.0, 0.0)), ("strong", (0.0, 1.0)), (None, (1.0, 1.0))])
def test_a_judge_is_understood_wherever_an_answer_stands(
    better: str | None, quality: tuple[float, float], strong_first: bool
) -> None:
    body = comparing.judge_body("add 2 and 2", "CHEAP", {"sum": "STRONG"}, strong_first=strong_first)
    asked = orjson.loads(body)["messages"][0]["content"]
    order = sorted(("cheap", "strong"), key=lambda name: asked.index(name.upper()))
    said = "neither" if better is None else ("first", "second")[order.index(better)]
    assert comparing.verdict({"better": said}, strong_first=strong_first) == quality
    assert "add 2 and 2" in asked


def test_a_judge_that_says_something_else_says_nothing() -> None:
    for value in (None, "first", {}, {"better": "both"}):
        assert comparing.verdict(value, strong_first=True) is None


def test_both_orders_occur_and_depend_on_seed_and_key() -> None:
    drawn = [comparing.swapped(0, str(i)) for i in range(200)]
    assert 60 < sum(drawn) < 140
    assert drawn == [comparing.swapped(0, str(i)) for i in range(200)]
    assert drawn != [comparing.swapped(1, str(i)) for i in range(200)]


def test_what_says_the_same_is_alike() -> None:
    assert comparing.alike(" Yes.\n", "yes")
    assert comparing.alike({"a": "X ", "n": 1}, {"n": 1.0, "a": "x"})
    assert comparing.alike("caf\u0065\u0301", "café")
    assert not comparing.alike("yes", "no")
    assert not comparing.alike({"a": 1}, {"a": 2})
    assert not comparing.alike([1, 2], [2, 1])
    assert comparing.matches({"sum": 4}, '{"sum": 4}')
    assert comparing.matches(4, "4")
    assert not comparing.matches({"sum": 4}, "5")


@pytest.mark.parametrize(
    ("state", "error", "counts"),
    [
        (State.SUCCEEDED, None, True),
        (State.FAILED, {"class": "output"}, True),
        (State.FAILED, {"class": "request"}, True),
        (State.FAILED, {"class": "transient"}, False),
        (State.FAILED, {"class": "account"}, False),
        (State.CANCELLED, None, False),
    ],
)
def test_only_what_is_the_models_own_doing_counts(state: State, error: dict[str, str] | None, counts: bool) -> None:
    result = Result(1, 1, "k", "t", Wire.CHAT, state, "small", None, None, error, 0.0, 0.0, None)
    assert comparing.counts(result) is counts


def test_a_scorers_mistakes_are_told(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "odd_scorer.py").write_text(
        "def high(a, b, c):\n    return 2\n\ndef wrong(a, b, c):\n    return a['x']\n"
    )
    with pytest.raises(InputError, match="said 2"):
        comparing.scorer_of("odd_scorer:high", folder)("a", "b", {})
    with pytest.raises(InputError, match="raised TypeError"):
        comparing.scorer_of("odd_scorer:wrong", folder)("a", "b", {})
    with pytest.raises(UsageError):
        comparing.scorer_of("odd_scorer", folder)
