"""Limits on an injected time: no provider's bucket is ever overdrawn, and what it holds is used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.dispatch.bucket import BURST_S, LEAST_S, Bucket
from laneway.dispatch.ending import StopReason
from laneway.dispatch.limits import DISTRUST_S, Limiter, Size
from laneway.dispatch.reckoning import Passed
from laneway.providers.model import Limits, Observed
from laneway.simulator.limits import Bucket as Theirs
from laneway.simulator.options import Options
from tests.dispatch.practice import account, practise, prompt

NOW = 1000.0
ONE = Size(100, 50, 50)


class TestBucket:
    @given(
        st.sampled_from([0.5, 1.0, 10.0, 500.0]),
        st.floats(1.0, 60.0),
        st.lists(st.tuples(st.floats(0, 3), st.floats(0.1, 3), st.floats(0, 1), st.floats(0, 8)), max_size=60),
    )
    def test_it_never_sends_what_the_provider_would_refuse(
        self, rate: float, burst: float, calls: list[tuple[float, float, float, float]]
    ) -> None:
        """Estimates are too high by some factor and settle late, whatever was full meanwhile; no header helps."""
        ours, theirs, now, settling = Bucket(rate, NOW), Theirs(rate * 60, burst, NOW), NOW, list[_Settling]()
        for number, (wait, size, real, latency) in enumerate(calls):
            amount = size * rate
            now = max(now + wait, ours.free_at(amount, now))
            for one in [one for one in settling if one[0] <= now]:
                settling.remove(one)
                ours.correct(one[1], one[2], now)
            if ours.free_at(amount, now) > now:
                continue
            used = amount * real
            assert theirs.wait(used, now) <= 1e-6
            theirs.level -= used
            settling.append((now + latency, ours.take(amount, number, now), used))

    @given(st.sampled_from([1.0, 10.0, 500.0]), st.integers(1, 400))
    def test_all_of_a_rate_is_used(self, rate: float, n: int) -> None:
        bucket, now = Bucket(rate, NOW), NOW
        for number in range(n):
            now = bucket.free_at(1.0, now)
            bucket.take(1.0, number, now)
        assert now - NOW <= 1.02 * n / rate

    @given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 1.0), st.floats(0, 5)), min_size=1, max_size=40))
    def test_estimates_that_were_wrong_leave_nothing_behind(self, calls: list[tuple[float, float, float]]) -> None:
        """Once all is settled the bucket stands as if every size had been known at once."""
        ours, exact, now, open_ = Bucket(10.0, NOW), Bucket(10.0, NOW), NOW, list[tuple[Passed, float]]()
        for number, (wait, guess, real) in enumerate(calls):
            now += wait
            open_.append((ours.take(guess, number, now), real))
            exact.take(real, number, now)
        for passed, real in reversed(open_):
            ours.correct(passed, real, now)
        assert ours.level(now) == pytest.approx(exact.level(now))

    def test_what_is_given_back_after_the_bucket_was_full_gains_nothing(self) -> None:
        bucket = Bucket(10.0, NOW)
        early = bucket.take(4.0, 1, NOW)
        bucket.take(5.0, 2, NOW + 1)
        bucket.correct(early, 0.0, NOW + 1)
        assert bucket.level(NOW + 1) == pytest.approx(0.0)

    def test_a_call_larger_than_the_bucket_goes_when_it_is_full_and_leaves_a_debt(self) -> None:
        bucket = Bucket(10.0, NOW)
        bucket.take(1.0, 1, NOW)
        at = bucket.free_at(30.0, NOW)
        assert at == pytest.approx(NOW + 0.1)
        bucket.take(30.0, 2, at)
        assert bucket.free_at(1.0, at) == pytest.approx(at + 2.62)

    @given(
        st.floats(1.0, 60.0),
        st.booleans(),
        st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2), st.floats(0, 1), st.integers(1, 40)), max_size=40),
    )
    def test_what_headers_show_is_used_and_never_more(
        self, burst: float, full: bool, calls: list[tuple[float, float, float, int]]
    ) -> None:
        """Headers are read at any moment of a call, others are sent meanwhile, and nothing is refused."""
        rate = 20.0
        ours, theirs, now, number = Bucket(rate, NOW), Theirs(rate * 60, burst, NOW), NOW, 0
        if not full:
            theirs.level = max(theirs.level * 0.3, ours.capacity)
        coming: list[tuple[float, float, int]] = []  # when it is read, when it comes, of which call
        read: dict[int, int] = {}
        for wait, latency, part, many in calls:
            now += wait
            for at, comes, of in sorted(coming):
                if at <= now:
                    theirs.refill(max(at, theirs.at))
                    read.setdefault(of, int(theirs.level))
                if comes <= now:
                    coming.remove((at, comes, of))
                    ours.shown(read[of], 0.5, of, now, margin=1.0, trust=True)
            for _ in range(many):
                if ours.free_at(1.0, now) > now:
                    break
                number += 1
                ours.take(1.0, number, now, known=True)
                assert theirs.wait(1.0, now) <= 1e-6
                theirs.level -= 1.0
                coming.append((now + part * latency, now + latency, number))

    @given(
        st.floats(1.0, 60.0),
        st.booleans(),
        st.lists(st.tuples(st.floats(0, 1), st.floats(0, 2), st.floats(0, 1), st.integers(1, 9)), max_size=40),
        st.lists(st.tuples(st.floats(1, 12), st.floats(0, 1)), min_size=1, max_size=9),
    )
    def test_what_headers_show_is_used_and_never_more_while_sizes_are_open(
        self,
        burst: float,
        full: bool,
        calls: list[tuple[float, float, float, int]],
        sizes: list[tuple[float, float]],
    ) -> None:
        """As above, but each call takes less than it reserved, which is known only when it ends: a header has counted
        what the calls in flight really take, and their reservations must not be given back on top of that."""
        rate = 20.0
        ours, theirs, now, number = Bucket(rate, NOW), Theirs(rate * 60, burst, NOW), NOW, 0
        if not full:
            theirs.level = max(theirs.level * 0.3, ours.capacity)
        coming: list[tuple[float, float, Passed, float]] = []  # when it is read, when it comes, of which call, its size
        read: dict[int, int] = {}
        for wait, latency, part, many in calls:
            now += wait
            for at, comes, of, real in sorted(coming, key=lambda one: one[:2]):
                if at <= now:
                    theirs.refill(max(at, theirs.at))
                    read.setdefault(of.number, int(theirs.level))
                if comes <= now:
                    coming.remove((at, comes, of, real))
                    ours.correct(of, real, now)
                    ours.shown(read[of.number], 0.5, of.number, now, margin=1.0, trust=True)
            for _ in range(many):
                number += 1
                reserved, share = sizes[number % len(sizes)]
                if ours.free_at(reserved, now) > now:
                    break
                passed, real = ours.take(reserved, number, now), reserved * share
                assert theirs.wait(real, now) <= 1e-6
                theirs.level -= real
                coming.append((now + part * latency, now + latency, passed, real))

    def test_a_large_call_does_not_wait_until_all_that_headers_have_lent_is_paid_back(self) -> None:
        ours = Bucket(20.0, NOW)
        ours.shown(599.0, 0.0, ours.take(1.0, 1, NOW, known=True).number, NOW, margin=1.0, trust=True)
        last = ours.take(590.0, 2, NOW, known=True)
        ours.shown(9.0, 0.0, last.number, NOW, margin=1.0, trust=True)
        assert ours.free_at(15.0, NOW) == pytest.approx(NOW + (20.0 - 8.0) / 20.0), "when a second's worth is there"

    def test_what_a_header_has_counted_is_not_given_back_again(self) -> None:
        """The provider's bucket holds 40, of which a header tells; 38 are used, and the next header tells that, too."""
        ours = Bucket(20.0, NOW)
        ours.shown(39.0, 0.0, ours.take(1.0, 1, NOW, known=True).number, NOW, margin=1.0, trust=True)
        ours.take(30.0, 2, NOW, known=True)
        large, other = ours.take(6.0, 3, NOW), ours.take(1.0, 4, NOW, known=True)
        ours.shown(7.0, 0.0, other.number, NOW, margin=1.0, trust=True)
        assert ours.level(NOW) == pytest.approx(6.0), "the large call took 1"
        ours.correct(large, 1.0, NOW)
        assert ours.level(NOW) == pytest.approx(6.0)

    def test_nothing_left_may_be_a_debt(self) -> None:
        ours = Bucket(20.0, NOW)
        first = ours.take(100.0, 1, NOW)
        ours.correct(first, 100.0, NOW)
        ours.shown(0.0, 0.0, 1, NOW + 0.1, margin=0.0, trust=True)
        assert ours.level(NOW + 0.1) < -80.0

    def test_no_more_is_sent_than_headers_have_shown_to_be_there_whatever_is_given_back(self) -> None:
        """Two calls reserved 4 each and others, of somebody else, took what was there."""
        ours = Bucket(20.0, NOW)
        first, second = ours.take(4.0, 1, NOW), ours.take(4.0, 2, NOW)
        ours.correct(second, 4.0, NOW + 0.1)
        ours.shown(3.0, 0.0, 2, NOW + 0.1, margin=1.0, trust=True)
        ours.correct(first, 0.0, NOW + 0.1)
        assert ours.level(NOW + 0.1) <= 3.0 + 20.0 * 0.1 + 1e-6

    def test_the_reserve_is_what_every_provider_has_beyond_ours(self) -> None:
        assert Bucket(100.0, NOW).reserve == pytest.approx(100.0 * (LEAST_S - BURST_S))
        assert Bucket(0.5, NOW).reserve == 0.0


_Settling = tuple[float, Passed, float]


class TestLimiter:
    def test_half_a_second_goes_at_once_then_evenly(self) -> None:
        limiter, now, starts = Limiter(Limits(requests_per_minute=600), NOW), NOW, []
        for _ in range(20):
            now = limiter.free_at(ONE, now)[0]
            limiter.take(ONE, now)
            starts.append(now - NOW)
        assert starts[:5] == [0.0] * 5
        assert starts[-1] == pytest.approx(1.5)

    def test_an_estimate_that_was_too_low_becomes_a_debt(self) -> None:
        limiter = Limiter(Limits(tokens_per_minute=6000), NOW)
        limiter.settle(limiter.take(Size(10, 10, 10), NOW), 300, 200, NOW)
        at, by = limiter.free_at(Size(10, 10, 10), NOW)
        assert by == "tokens_per_minute"
        assert at - NOW == pytest.approx((500 - 50 + 20) / 100, abs=0.1)

    def test_headers_that_show_a_full_bucket_are_used(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=600), NOW)
        first = limiter.take(ONE, NOW)
        limiter.observe(Observed("requests", 600, 599, 0.1), first, NOW + 0.2)
        n = 0
        while limiter.free_at(ONE, NOW + 0.2)[0] <= NOW + 0.2:
            limiter.take(ONE, NOW + 0.2)
            n += 1
        assert n == 597, "all but one, and half of one for jitter"

    def test_headers_of_a_small_bucket_are_used_too(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=600), NOW)
        reservations = [limiter.take(ONE, NOW) for _ in range(5)]
        assert limiter.free_at(ONE, NOW)[0] > NOW
        limiter.observe(Observed("requests", 600, 5, 0.1), reservations[-1], NOW)
        for _ in range(3):
            assert limiter.free_at(ONE, NOW)[0] <= NOW
            limiter.take(ONE, NOW)
        assert limiter.free_at(ONE, NOW)[0] > NOW

    def test_what_was_sent_since_is_not_in_the_header(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=600), NOW)
        first = limiter.take(ONE, NOW)
        for _ in range(4):
            limiter.take(ONE, NOW)
        limiter.observe(Observed("requests", 600, 8, 0.1), first, NOW)
        n = 0
        while limiter.free_at(ONE, NOW)[0] <= NOW:
            limiter.take(ONE, NOW)
            n += 1
        assert n == 2, "8 less 4 that may have come later, less the margin"

    def test_refusals_win_over_headers_and_longer_each_time(self) -> None:
        limiter, now = Limiter(Limits(requests_per_minute=600), NOW), NOW
        for longer in (1, 2, 4):
            limiter.refused(now)
            reservation = limiter.take(ONE, now)
            limiter.observe(Observed("requests", 600, 599, 0.1), reservation, now + longer * DISTRUST_S - 1)
            assert limiter.free_at(ONE, now + longer * DISTRUST_S - 1)[0] > NOW
            level = limiter.state(now + longer * DISTRUST_S - 1)["requests_per_minute"]
            assert level <= 5
            now += longer * DISTRUST_S + 0.1

    def test_output_that_may_not_have_been_counted_is_not_there(self) -> None:
        limiter = Limiter(Limits(output_tokens_per_minute=6000), NOW)
        reservations = [limiter.take(Size(10, 10, 10), NOW) for _ in range(5)]
        limiter.observe(Observed("output_tokens", 6000, 80, 1), reservations[-1], NOW)
        assert limiter.state(NOW)["output_tokens_per_minute"] == pytest.approx(80 - 50 - 5)

    def test_a_limit_that_nobody_configured_is_learnt_with_what_was_sent_before(self) -> None:
        limiter = Limiter(Limits(), NOW)
        assert limiter.free_at(ONE, NOW) == (NOW, "")
        reservations = [limiter.take(ONE, NOW) for _ in range(10)]
        limiter.observe(Observed("requests", 600, None, None), reservations[0], NOW + 0.2)
        at, by = limiter.free_at(ONE, NOW + 0.2)
        assert by == "requests_per_minute"
        assert at == pytest.approx(NOW + 0.6)

    def test_a_learnt_limit_is_remembered_until_headers_say_otherwise(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=60), NOW)
        limiter.observe(Observed("tokens", 60_000, 100, 1), limiter.take(ONE, NOW), NOW)
        again = Limiter(Limits(requests_per_minute=60), NOW + 1)
        again.restore(limiter.learnt(), limiter.state(NOW), 1.0, NOW + 1)
        assert again.limits() == {"requests_per_minute": 60, "tokens_per_minute": 60_000}
        again.observe(Observed("tokens", 90_000, 100, 1), again.take(ONE, NOW + 1), NOW + 1)
        assert again.limits()["tokens_per_minute"] == 90_000

    @pytest.mark.parametrize("kept", [{"tokens_per_minute": "many"}, {"tokens_per_minute": -1}, {"no_such": 3}])
    def test_a_state_that_is_not_understood_is_passed_over(self, kept: dict[str, object]) -> None:
        limiter = Limiter(Limits(), NOW)
        limiter.restore(kept, kept, 1.0, NOW)
        assert limiter.limits() == {}

    def test_a_configured_limit_is_never_raised_by_headers(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=60), NOW)
        limiter.observe(Observed("requests", 6000, None, None), limiter.take(ONE, NOW), NOW)
        assert limiter.limits() == {"requests_per_minute": 60}
        limiter.observe(Observed("requests", 30, None, None), limiter.take(ONE, NOW), NOW)
        assert limiter.limits() == {"requests_per_minute": 30}

    def test_headers_of_a_larger_limit_than_the_configured_one_lend_nothing(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=60), NOW)
        limiter.observe(Observed("requests", 6000, 5999, None), limiter.take(ONE, NOW), NOW)
        assert limiter.state(NOW)["requests_per_minute"] <= 0.0

    def test_a_limit_that_was_changed_is_not_changed_back_by_an_earlier_calls_reply(self) -> None:
        limiter = Limiter(Limits(), NOW)
        earlier, later = limiter.take(ONE, NOW), limiter.take(ONE, NOW)
        limiter.observe(Observed("requests", 600, 5, None), later, NOW)
        limiter.observe(Observed("requests", 1200, 1000, None), earlier, NOW)
        assert limiter.limits() == {"requests_per_minute": 600}
        assert limiter.state(NOW)["requests_per_minute"] <= 5.0

    def test_a_lowered_limit_leaves_no_more_than_its_part_of_what_was_there(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=600), NOW)
        first = limiter.take(ONE, NOW)
        assert limiter.state(NOW)["requests_per_minute"] == 4.0
        limiter.observe(Observed("requests", 300, None, None), first, NOW)
        assert limiter.state(NOW)["requests_per_minute"] == 2.0

    def test_a_refused_call_counts_as_a_request_and_takes_no_tokens(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=600, tokens_per_minute=6000), NOW)
        limiter.spare(limiter.take(Size(10, 10, 10), NOW), NOW)
        assert limiter.state(NOW) == {"requests_per_minute": 4.0, "tokens_per_minute": 50.0}

    def test_a_call_that_was_never_sent_takes_nothing(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=600, tokens_per_minute=6000), NOW)
        limiter.give_back(limiter.take(Size(10, 10, 10), NOW), NOW)
        assert limiter.state(NOW) == {"requests_per_minute": 5.0, "tokens_per_minute": 50.0}

    def test_a_call_that_broke_off_may_have_taken_all(self) -> None:
        limiter = Limiter(Limits(tokens_per_minute=6000), NOW)
        limiter.let_go(limiter.take(Size(10, 10, 10), NOW), NOW)
        assert limiter.state(NOW) == {"tokens_per_minute": 30.0}

    def test_what_openai_charges_is_what_was_allowed(self) -> None:
        limiter = Limiter(Limits(tokens_per_minute=6000), NOW, charges_max_tokens=True)
        limiter.settle(limiter.take(Size(10, 5, 1000), NOW), 10, 5, NOW)
        assert limiter.free_at(Size(10, 5, 10), NOW)[0] > NOW + 9

    def test_without_a_bound_it_charges_what_was_written(self) -> None:
        limiter = Limiter(Limits(tokens_per_minute=6000), NOW, charges_max_tokens=True)
        limiter.settle(limiter.take(Size(10, 30, 30, bounded=False), NOW), 10, 5, NOW)
        assert limiter.state(NOW) == {"tokens_per_minute": 35.0}

    def test_a_limit_on_output_counts_what_is_written_whatever_is_allowed(self) -> None:
        limiter = Limiter(Limits(output_tokens_per_minute=6000), NOW, charges_max_tokens=True)
        limiter.settle(limiter.take(Size(10, 5, 1000), NOW), 10, 5, NOW)
        assert limiter.state(NOW) == {"output_tokens_per_minute": 45.0}

    def test_answers_of_uncertain_length_leave_room_for_longer_ones(self) -> None:
        limiter = Limiter(Limits(output_tokens_per_minute=6000), NOW)
        sizes = [Size(10, 10, 99, variance=variance) for variance in (0.0, 600.0)]
        started = []
        for size in sizes:
            limiter = Limiter(Limits(output_tokens_per_minute=6000), NOW)
            n = 0
            while limiter.free_at(size, NOW)[0] <= NOW:
                limiter.take(size, NOW)
                n += 1
            started.append(n)
        assert started[0] == 5
        assert 1 <= started[1] < 5

    def test_there_is_room_for_all_that_a_call_may_write_where_headers_have_lent_the_rest(self) -> None:
        """Its expected 10 tokens would fit at once; one of the few answers that are as long as allowed would not."""
        limiter, size, theirs = (
            Limiter(Limits(output_tokens_per_minute=60_000), NOW),
            Size(10, 10, 400, variance=1600.0),
            910,
        )
        first = limiter.take(size, NOW)
        limiter.settle(first, 10, 10, NOW)
        limiter.observe(Observed("output_tokens", 60_000, 900, 1), first, NOW)
        while limiter.free_at(size, NOW)[0] <= NOW:
            limiter.settle(limiter.take(size, NOW), 10, 10, NOW)
            theirs -= 10
        assert 390 <= theirs <= 410

    def test_a_days_requests_may_go_at_once(self) -> None:
        limiter = Limiter(Limits(), NOW)
        limiter.observe(Observed("requests", 1000, 3, 100, window=86400.0), limiter.take(ONE, NOW), NOW)
        for _ in range(3):
            assert limiter.free_at(ONE, NOW)[0] <= NOW
            limiter.take(ONE, NOW)
        assert limiter.free_at(ONE, NOW)[0] > NOW + 60

    def test_a_restart_goes_on_from_what_was_used(self) -> None:
        limiter = Limiter(Limits(requests_per_day=100), NOW)
        for _ in range(100):
            limiter.take(ONE, NOW)
        again = Limiter(Limits(requests_per_day=100), NOW + 60)
        again.restore({}, limiter.state(NOW), 60, NOW + 60)
        assert again.free_at(ONE, NOW + 60)[0] > NOW + 600

    def test_a_workers_part_is_its_part_of_the_rate(self) -> None:
        limiter = Limiter(Limits(requests_per_minute=600), NOW, share=0.5)
        now = NOW
        for _ in range(12):
            now = limiter.free_at(ONE, now)[0]
            limiter.take(ONE, now)
        assert now - NOW == pytest.approx((12 - 2.5) / 5)


class TestARun:
    def test_it_stops_and_says_so_when_the_days_requests_are_used_up(self) -> None:
        limits = Limits(requests_per_day=20, concurrency=5)
        world = practise([prompt(str(i)) for i in range(30)], accounts=[account(limits=limits)])
        assert world.stop is not None
        assert world.stop.reason is StopReason.LIMIT
        assert world.stop.message == (
            "account main has used up its 20 requests a day; the next one is free in 72 minutes"
        )
        assert world.seconds < 60
        assert len(world.calls) == 20

    def test_it_goes_on_where_the_next_request_is_soon_free(self) -> None:
        limits = Limits(requests_per_day=2880, concurrency=50)
        world = practise([prompt(str(i)) for i in range(2885)], accounts=[account(limits=limits)])
        assert world.stop is not None
        assert world.stop.reason is StopReason.DONE

    @pytest.mark.parametrize("burst", [1, 60])
    @pytest.mark.parametrize("limits", [Limits(concurrency=100), Limits(requests_per_minute=600, concurrency=100)])
    def test_a_full_bucket_is_used_whichever_it_is(self, limits: Limits, burst: float) -> None:
        options = Options(latency=0.2, rpm=600, burst=burst)
        world = practise([prompt(str(i)) for i in range(200)], options=options, accounts=[account(limits=limits)])
        assert world.books()["rate_limited"] == 0
        assert world.seconds < (1.0 if burst == 60 else 20.2)
