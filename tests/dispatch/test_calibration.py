"""Token estimates that learn from what calls used."""

from __future__ import annotations

import math
import random

import pytest

from laneway.dispatch.calibration import Calibration
from laneway.task import Usage


def learnt(*calls: tuple[str, int], bounded: bool = False) -> Calibration:
    calibration = Calibration()
    for type_, output in calls:
        calibration.learn("small", type_, 100, 256, Usage(120, output), bounded=bounded)
    return calibration


class TestCalibration:
    def test_the_first_call_counts_in_full(self) -> None:
        size = learnt(("letter", 64)).size("small", 100, 256, "letter", bounded=False)
        assert 64 <= size.output_tokens <= 2 * 64
        assert 120 <= size.input_tokens <= 2 * 120

    def test_many_calls_make_it_exact(self) -> None:
        rng = random.Random(1)
        calls = [("letter", round(rng.gauss(60, 20))) for _ in range(200)]
        size = learnt(*calls).size("small", 100, 256, "letter", bounded=False)
        assert 60 <= size.output_tokens <= 72
        assert size.variance == pytest.approx(20**2, rel=0.5)

    def test_while_most_are_open_those_that_ended_first_are_known_to_be_the_shorter_ones(self) -> None:
        """Of 200 that begin at once, of log-normal lengths, the shortest end first."""
        rng = random.Random(1)
        lengths = sorted(min(256, round(rng.lognormvariate(math.log(60), 0.6))) for _ in range(200))
        mean = sum(lengths) / len(lengths)
        calibration = Calibration()
        for _ in lengths:
            calibration.began("small", "letter")
        for number, length in enumerate(lengths, 1):
            calibration.learn("small", "letter", 100, 256, Usage(120, length), bounded=True)
            calibration.ended("small", "letter")
            expected = calibration.size("small", 100, 256, "letter", bounded=True).output_tokens
            assert expected >= 0.6 * mean, f"after {number}"
        for _ in range(200):
            calibration.began("small", "letter")
            calibration.learn("small", "letter", 100, 256, Usage(120, rng.choice(lengths)), bounded=True)
            calibration.ended("small", "letter")
        assert calibration.size("small", 100, 256, "letter", bounded=True).output_tokens <= 1.5 * mean

    def test_a_type_has_its_own_and_an_unknown_one_the_models(self) -> None:
        calibration = learnt(*[("short", 10), ("long", 1000)] * 50)
        short, long, other = (calibration.size("small", 100, 256, t).output_tokens for t in ("short", "long", "new"))
        assert short == pytest.approx(10, abs=1)
        assert long == pytest.approx(1000, rel=0.05)
        assert 400 <= other <= 700
        assert calibration.size("other", 100, 256).output_tokens == 256

    def test_what_is_allowed_is_reserved_where_it_is_known(self) -> None:
        calibration = learnt(*[("letter", 64)] * 50)
        assert calibration.size("small", 100, 256, "letter", bounded=True).max_output_tokens == 256
        assert calibration.size("small", 100, 256, "letter", bounded=False).max_output_tokens == pytest.approx(
            64, abs=2
        )
        assert calibration.size("small", 100, 256).max_output_tokens == pytest.approx(64, abs=2), (
            "nothing was bounded so far"
        )
        assert learnt(("letter", 64), bounded=True).size("small", 100, 256).max_output_tokens == 256

    def test_an_answer_is_never_expected_beyond_its_bound(self) -> None:
        assert learnt(("letter", 300)).size("small", 100, 256, "letter", bounded=True).output_tokens == 256

    def test_answers_of_one_length_are_expected_so_long_whatever_they_may_have(self) -> None:
        rng, calibration = random.Random(1), Calibration()
        for _ in range(30):
            calibration.learn("small", "letter", 100, rng.randint(30, 300), Usage(120, 26), bounded=True)
        for allowed in (30, 300):
            size = calibration.size("small", 100, allowed, "letter", bounded=True)
            assert 26 <= size.output_tokens <= 28, allowed
            assert size.variance < 10

    def test_answers_that_use_what_they_may_are_expected_to(self) -> None:
        rng, calibration = random.Random(1), Calibration()
        for _ in range(30):
            allowed = rng.randint(30, 300)
            calibration.learn("small", "letter", 100, allowed, Usage(120, round(allowed * 0.8)), bounded=True)
        for allowed in (30, 300):
            size = calibration.size("small", 100, allowed, "letter", bounded=True)
            assert size.output_tokens == pytest.approx(0.8 * allowed, rel=0.05)
        second = Calibration()
        second.restore("small", calibration.state("small"))
        assert second.size("small", 100, 300, "letter", bounded=True).output_tokens == pytest.approx(240, rel=0.05)

    def test_what_was_kept_before_plain_lengths_were_is_understood(self) -> None:
        calibration = Calibration()
        calibration.restore("small", {"output": {"letter": [50, 0.25, 0.0]}})
        assert calibration.size("small", 100, 256, "letter", bounded=True).output_tokens == 64

    def test_the_next_run_goes_on_from_it(self) -> None:
        first = learnt(*[("letter", 64)] * 50)
        assert first.changed() == {"small"}
        assert first.changed() == set()
        second = Calibration()
        second.restore("small", first.state("small"))
        was, now = (one.size("small", 100, 256, "letter", bounded=False) for one in (first, second))
        assert (now.input_tokens, now.output_tokens) == (was.input_tokens, was.output_tokens)
        assert now.variance == pytest.approx(was.variance, rel=0.05)

    @pytest.mark.parametrize("kept", [{}, {"input": 3}, {"output": {"x": [1, "a", 2]}}, {"allowed": [0, 1, 1]}])
    def test_a_state_that_is_not_understood_is_passed_over(self, kept: dict[str, object]) -> None:
        calibration = Calibration()
        calibration.restore("small", kept)
        assert calibration.size("small", 100, 256).output_tokens == 256
