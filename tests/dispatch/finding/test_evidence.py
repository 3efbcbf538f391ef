"""What accepted and refused calls tell of a rate."""

from __future__ import annotations

import pytest

from laneway.dispatch.finding.evidence import Evidence, Range, together
from laneway.simulator.limits import Bucket


def tried(evidence: Evidence, bucket: Bucket, paces: list[float], *, since: float = 0.0) -> float:
    """Send one call after the other; returns when the last was sent."""
    now = since
    for pace in paces:
        start = evidence.add(now)
        if bucket.wait(1.0, now) > 0:
            start.refused = True
        else:
            bucket.level -= 1.0
        now += 1.0 / pace
    return now


@pytest.mark.parametrize("burst", [0.3, 1.0, 4.0, 30.0])
def test_after_one_refusal_the_true_rate_is_among_those_possible(burst: float) -> None:
    evidence, bucket = Evidence(full=True), Bucket(600.0, burst, 0.0)
    pace, now = 10.0, 0.0
    while not any(start.refused for start in evidence._starts):
        now = tried(evidence, bucket, [pace], since=now)
        pace *= 1.03
    possible = evidence.ranges(1000.0)
    holding = [one for one in possible if one.size[0] <= burst <= one.size[1]]
    assert any(one.low < 10.0 < one.high * 1.01 for one in holding)
    assert len(possible) > 3, "with another size of bucket it would be another rate"


def test_two_refusals_tell_the_rate_whatever_the_bucket_holds() -> None:
    evidence, bucket = Evidence(), Bucket(600.0, 10.0, 0.0)
    bucket.level = 0.0
    tried(evidence, bucket, [12.0] * 60)
    large = [one for one in evidence.ranges(100.0) if one.size[0] >= 0.25]
    assert large
    assert all(9.5 < one.low <= 10.0 <= one.high < 10.5 for one in large)


def test_what_is_let_in_refutes_the_rates_below() -> None:
    evidence, bucket = Evidence(full=True), Bucket(600.0, 0.3, 0.0)
    now = tried(evidence, bucket, [20.0] * 8)
    before = evidence.ranges(100.0)
    assert min(one.low for one in before) < 1.0
    tried(evidence, bucket, [9.0] * 40, since=now + 1.0)
    assert min(one.low for one in evidence.standing(before)) > 7.0


def test_nothing_explains_a_refusal_far_below_what_was_let_in() -> None:
    evidence, bucket = Evidence(), Bucket(600.0, 0.3, 0.0)
    now = tried(evidence, bucket, [20.0] * 8 + [9.0] * 100)
    assert evidence.ranges(100.0)
    evidence.add(now + 2.0).refused = True
    assert evidence.ranges(100.0) == []


def test_long_histories_are_condensed_and_still_tell_the_rate() -> None:
    evidence, bucket = Evidence(), Bucket(6000.0, 1.0, 0.0)
    bucket.level = 0.0
    tried(evidence, bucket, [95.0] * 1500 + [130.0] * 600)
    assert len(evidence._starts) <= 200
    large = [one for one in evidence.ranges(1000.0) if one.size[0] >= 0.25]
    assert large
    assert all(95.0 < one.low <= 101.0 and 99.0 <= one.high < 112.0 for one in large)


def test_ranges_that_overlap_are_one() -> None:
    ranges = [Range((1.0, 2.0), 5.0, 6.0), Range((0.25, 0.5), 9.0, 9.5), Range((2.0, 4.0), 4.0, 5.1)]
    assert together(ranges) == [(4.0, 6.0), (9.0, 9.5)]
