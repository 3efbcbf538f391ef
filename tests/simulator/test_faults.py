from __future__ import annotations

from collections import Counter
from statistics import fmean, median

import pytest

from laneway.simulator.faults import fate
from laneway.simulator.options import Options


def test_a_fate_hangs_on_seed_and_number_alone() -> None:
    assert fate(1, 7) == fate(1, 7)
    assert fate(1, 7) != fate(2, 7)
    assert fate(1, 7) != fate(1, 8)


def test_raising_one_rate_leaves_the_others_alone() -> None:
    calm, wild = Options(error_rate=0.1), Options(error_rate=0.1, rate_limit_rate=0.9, malformed_rate=0.9)
    drawn = [fate(3, number) for number in range(500)]
    assert [one.accident(calm, stream=True) for one in drawn] == [one.accident(wild, stream=True) for one in drawn]


def test_each_rate_is_met() -> None:
    options = Options(error_rate=0.1, cut_rate=0.2, rate_limit_rate=0.3, malformed_rate=0.4, overload_stream_rate=0.5)
    drawn = [fate(0, number) for number in range(4000)]
    accidents = Counter(one.accident(options, stream=True) for one in drawn)
    assert accidents["error"] == pytest.approx(400, abs=80)
    assert accidents["cut"] == pytest.approx(800, abs=110)
    assert accidents["overload"] == pytest.approx(0.5 * (4000 - 400 - 800), abs=150)
    assert fmean(one.refused(options) for one in drawn) == pytest.approx(0.3, abs=0.03)
    assert fmean(one.malformed(options) for one in drawn) == pytest.approx(0.4, abs=0.03)
    assert all(one.accident(options, stream=False) != "overload" for one in drawn)


def test_nothing_happens_at_rate_0_and_all_of_it_at_rate_1() -> None:
    for number in range(200):
        one = fate(0, number)
        assert one.accident(Options(), stream=True) == "none"
        assert not one.refused(Options())
        assert one.accident(Options(error_rate=1.0), stream=True) == "error"
        assert one.accident(Options(cut_rate=1.0), stream=True) == "cut"


def test_the_latency_is_the_median_of_a_log_normal() -> None:
    drawn = [fate(0, number).latency_s(2.0, 0.5) for number in range(4000)]
    assert median(drawn) == pytest.approx(2.0, rel=0.05)
    assert fmean(drawn) == pytest.approx(2.0 * 1.1331, rel=0.05)  # exp(sigma² / 2)
    assert fate(0, 1).latency_s(2.0, 0.0) == 2.0
