"""Buckets on a clock that the tests turn."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.simulator.limits import Bucket, Charge, KeyLimits, Refusal
from laneway.simulator.options import Options

steps = st.lists(
    st.tuples(st.floats(0, 10, allow_nan=False), st.floats(0.1, 50, allow_nan=False)), min_size=1, max_size=80
)


@given(steps, st.floats(1, 6000), st.floats(0, 20))
def test_no_window_admits_more_than_capacity_and_refill(
    asked: list[tuple[float, float]], per_minute: float, burst: float
) -> None:
    bucket = Bucket(per_minute, burst, 0.0)
    now, admitted, largest = 0.0, [], bucket.capacity
    for pause, amount in asked:
        now += pause
        if bucket.wait(amount, now) == 0:
            bucket.level -= amount
            admitted.append((now, amount))
            largest = max(largest, amount)
    for i, (begin, _) in enumerate(admitted):
        total = 0.0
        for end, amount in admitted[i:]:
            total += amount
            assert total <= largest + bucket.rate * (end - begin) + 1e-6


@given(steps, st.floats(1, 6000))
def test_the_wait_that_is_told_is_the_wait_that_suffices(asked: list[tuple[float, float]], per_minute: float) -> None:
    bucket, now = Bucket(per_minute, 1.0, 0.0), 0.0
    for pause, amount in asked:
        now += pause
        if wait := bucket.wait(amount, now):
            assert bucket.wait(amount, now + wait * 0.99) > 0
            now += wait + 1e-6
            assert bucket.wait(amount, now) == 0
        bucket.level -= amount


def test_a_bucket_holds_so_many_seconds_of_its_rate_and_at_least_one() -> None:
    assert Bucket(600, 1.0, 0.0).capacity == 10
    assert Bucket(600, 60.0, 0.0).capacity == 600
    assert Bucket(6, 1.0, 0.0).capacity == 1
    assert Bucket(600, 0.0, 0.0).capacity == 1


def test_a_request_larger_than_its_bucket_passes_when_it_is_full_and_leaves_a_debt() -> None:
    limits, options = KeyLimits(), Options(tpm=6000)  # 100 a second, 100 in the bucket
    large = Charge(tokens=250)
    assert limits.arrive(options, large, 0.0) is None
    assert limits.buckets["tokens"].level == -150
    refused = limits.arrive(options, large, 2.4)
    assert refused is not None
    assert refused.wait == pytest.approx(0.1)
    assert refused.requested == 250
    assert limits.arrive(options, large, 2.5) is None


def test_a_refused_request_takes_nothing_from_any_bucket() -> None:
    limits, options = KeyLimits(), Options(rpm=600, tpm=600, input_tpm=60_000)
    assert limits.arrive(options, Charge(tokens=10, input_tokens=5), 0.0) is None
    before = {kind: bucket.level for kind, bucket in limits.buckets.items()}
    refused = limits.arrive(options, Charge(tokens=10, input_tokens=5), 0.0)
    assert refused is not None
    assert refused.kind == "tokens"
    assert {kind: bucket.level for kind, bucket in limits.buckets.items()} == before
    assert limits.in_flight == 1


def test_the_limit_that_makes_one_wait_longest_is_named() -> None:
    limits, options = KeyLimits(), Options(rpm=60, tpm=60)
    charge = Charge(tokens=1)
    assert limits.arrive(options, charge, 0.0) is None
    limits.buckets["tokens"].level = -5.0
    refused = limits.arrive(options, charge, 0.0)
    assert refused == Refusal("tokens", 6.0, 60, 1)


def test_concurrency_counts_what_is_in_flight() -> None:
    limits, options = KeyLimits(), Options(concurrency=2)
    assert limits.arrive(options, Charge(), 0.0) is None
    assert limits.arrive(options, Charge(), 0.0) is None
    refused = limits.arrive(options, Charge(), 0.0)
    assert refused is not None
    assert refused.kind == "concurrency"
    limits.in_flight -= 1
    assert limits.arrive(options, Charge(), 0.0) is None


def test_a_changed_limit_keeps_its_bucket_as_full_as_it_was() -> None:
    limits, options = KeyLimits(), Options(rpm=600)
    for _ in range(5):
        assert limits.arrive(options, Charge(), 0.0) is None
    options.rpm = 6000
    limits.follow(options, 0.0)
    assert limits.buckets["requests"].level == pytest.approx(50)
    options.rpm = None
    limits.follow(options, 0.0)
    assert not limits.buckets
