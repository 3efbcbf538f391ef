"""The pieces of policy one by one, on an injected time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.dispatch.desk import Admission, Blocked, Desk
from laneway.dispatch.limits import Size
from laneway.dispatch.retry import FREE_TRIES, decide, delay_s
from laneway.providers.answers.complaints import Complaint
from laneway.providers.model import Account, Limits, Model, Reply
from laneway.task import Claimed, Failure, FailureClass, Outcome, Route, Spec, State, Urgency, Usage, Wire

NOW = 1000.0
ONE = Size(100, 50, 50)


def desk(**limits: float) -> Desk:
    concurrency = limits.pop("concurrency", None)
    account = Account("main", "openai", Wire.CHAT, "http://x", limits=Limits(concurrency=concurrency, **limits))  # type: ignore[arg-type]
    return Desk(account, NOW, random.Random(1))


class TestDesk:
    def test_concurrency_is_exact(self) -> None:
        one = desk(concurrency=2)
        first, second = one.admit(ONE, NOW), one.admit(ONE, NOW)
        assert isinstance(first, Admission)
        assert isinstance(second, Admission)
        assert one.admit(ONE, NOW) == Blocked(None, "concurrency")
        one.release(first, NOW)
        assert isinstance(one.admit(ONE, NOW), Admission)

    def test_a_release_gives_back_what_was_taken(self) -> None:
        one = desk(requests_per_minute=60, concurrency=9)
        admission = one.admit(ONE, NOW)
        assert isinstance(admission, Admission)
        assert isinstance(one.admit(ONE, NOW), Blocked)
        one.release(admission, NOW)
        assert isinstance(one.admit(ONE, NOW), Admission)

    def test_an_account_of_which_nothing_is_known_gets_ten_calls_until_it_answers(self) -> None:
        one = desk(concurrency=50)
        admissions = [one.admit(ONE, NOW) for _ in range(10)]
        assert one.admit(ONE, NOW) == Blocked(None, "first answer")
        first = admissions[0]
        assert isinstance(first, Admission)
        one.settle(first, Reply(b"{}", None, None, 0.1), NOW)
        assert sum(isinstance(one.admit(ONE, NOW), Admission) for _ in range(60)) == 41
        again = desk(concurrency=50)
        again.restore(one.state(NOW), 1.0, NOW)
        assert sum(isinstance(again.admit(ONE, NOW), Admission) for _ in range(60)) == 50

    def test_cached_input_counts_where_the_provider_counts_it(self) -> None:
        for counts, left in ((True, 0.0), (False, 90.0)):
            limits = Limits(input_tokens_per_minute=12_000, concurrency=1)
            one = Desk(
                Account("a", "x", Wire.CHAT, "http://x", limits=limits, counts_cached=counts), NOW, random.Random(1)
            )
            admission = one.admit(Size(100), NOW)
            assert isinstance(admission, Admission)
            one.settle(admission, Reply(b"{}", Usage(100, 1, cached_tokens=90), None, 0.1), NOW)
            assert one.limiter.state(NOW)["input_tokens_per_minute"] == left

    @pytest.mark.parametrize(
        ("reply", "left"),
        [
            (Reply(None, None, Failure(FailureClass.TRANSIENT, "x", "x", outage=True), 0.1, sent=False), (5.0, 500.0)),
            (Reply(None, None, Failure(FailureClass.REQUEST, "x", "x", 400), 0.1), (4.0, 500.0)),
            (Reply(None, None, Failure(FailureClass.TRANSIENT, "x", "x", 500, outage=True), 0.1), (4.0, 350.0)),
            (Reply(None, Usage(10, 0), Failure(FailureClass.REQUEST, "x", "x", 200), 0.1), (4.0, 490.0)),
        ],
    )
    def test_a_failed_call_takes_what_the_provider_counts(self, reply: Reply, left: tuple[float, float]) -> None:
        one = desk(requests_per_minute=600, tokens_per_minute=60_000, concurrency=9)
        admission = one.admit(ONE, NOW)
        assert isinstance(admission, Admission)
        one.settle(admission, reply, NOW)
        assert tuple(one.limiter.state(NOW).values()) == left

    def test_what_a_call_really_used_replaces_the_estimate(self) -> None:
        one = desk(tokens_per_minute=60_000, concurrency=9)
        admission = one.admit(ONE, NOW)
        assert isinstance(admission, Admission)
        one.settle(admission, Reply(b"{}", Usage(5000, 5000), None, 0.1), NOW)
        answer = one.admit(ONE, NOW)
        assert isinstance(answer, Blocked)
        assert answer.by == "tokens_per_minute"
        assert answer.until == pytest.approx(NOW + (10_000 - 500 + 150) / 1000, abs=0.2)

    def test_an_account_failure_pauses_it(self) -> None:
        one = desk(concurrency=2)
        admission = one.admit(ONE, NOW)
        assert isinstance(admission, Admission)
        one.settle(admission, Reply(None, None, Failure(FailureClass.ACCOUNT, "x", "no credit", 401), 0.1), NOW)
        assert one.paused == "no credit"
        blocked = one.admit(ONE, NOW)
        assert isinstance(blocked, Blocked)
        assert blocked.by == "paused"


def claimed(**more: object) -> Claimed:
    fields: dict[str, object] = {
        "id": 1, "run_id": 1, "cell_id": 1, "fence": 1, "attempts": 0, "refusals": 0, "losses": 0, "key": "k",
        "model": "small", "lane": "general", "urgency": Urgency.STANDARD, "account": "main",
        "route": Route("general", Urgency.STANDARD, "small"), "spec": Spec("chat", Wire.CHAT, max_attempts=3),
        "body": b"{}", "input_tokens": 1, "output_tokens": 1, "submitted_at": NOW, "claimed_at": NOW, "begun_at": NOW,
        "deadline": None, "complaint": None,
    }  # fmt: skip
    return Claimed(**{**fields, **more})  # type: ignore[arg-type]


def failed(cls: FailureClass, **more: object) -> Reply:
    return Reply(None, None, Failure(cls, "code", "message", **more), 0.1)  # type: ignore[arg-type]


def unusable(answer: str) -> Reply:
    return Reply(None, None, Failure(FailureClass.OUTPUT, "code", "message"), 0.1, answer=answer)


class TestRetry:
    MODEL = Model("small", "small", (), 1.0, 2.0)

    def decide(self, reply: Reply, down: bool = False, **task: object):  # type: ignore[no-untyped-def]
        return decide(claimed(**task), reply, self.MODEL, now=NOW, rng=random.Random(1), down=down)

    def test_an_answer_is_charged_at_the_models_prices(self) -> None:
        made = self.decide(Reply(b"{}", Usage(1000, 500), None, 0.1))
        assert (made.state, made.outcome) == (State.SUCCEEDED, Outcome.OK)
        assert made.cost == pytest.approx((1000 * 1 + 500 * 2) / 1e6)

    def test_a_transient_failure_waits_then_fails_when_its_tries_are_used_up(self) -> None:
        first = self.decide(failed(FailureClass.TRANSIENT, status=500, outage=True))
        assert (first.state, first.burned) == (State.WAITING, True)
        assert first.wake_at is not None
        assert first.wake_at >= NOW
        last = self.decide(failed(FailureClass.TRANSIENT, status=500, outage=True), attempts=2)
        assert last.state is State.FAILED

    def test_refusals_and_outages_cost_no_attempt_up_to_a_bound(self) -> None:
        refused = failed(FailureClass.TRANSIENT, status=429, refused=True, retry_after=2.0)
        made = self.decide(refused, attempts=2)
        assert (made.state, made.burned, made.outcome) == (State.WAITING, False, Outcome.RATE_LIMITED)
        assert made.wake_at is not None
        assert NOW + 2.0 < made.wake_at < NOW + 63
        assert not self.decide(failed(FailureClass.TRANSIENT, outage=True), down=True, attempts=2).burned
        assert self.decide(refused, attempts=2, refusals=FREE_TRIES).state is State.FAILED

    def test_where_the_provider_is_down_for_certain_a_task_waits_for_it_however_often_it_was_tried(self) -> None:
        reply = failed(FailureClass.TRANSIENT, status=500, outage=True)
        made = decide(
            claimed(attempts=2, refusals=500),
            reply,
            self.MODEL,
            now=NOW,
            rng=random.Random(1),
            down=True,
            back_at=NOW + 4,
        )
        assert (made.state, made.burned, made.counted) == (State.WAITING, False, False)
        assert made.wake_at is not None
        assert NOW + 4 <= made.wake_at <= NOW + 6

    def test_an_account_failure_keeps_the_task(self) -> None:
        made = self.decide(failed(FailureClass.ACCOUNT, status=401))
        assert (made.state, made.burned) == (State.READY, False)

    def test_bad_output_is_told_to_the_model_then_the_stronger_one_is_asked(self) -> None:
        route = Route("general", Urgency.STANDARD, "small", fallbacks=("strong",))
        spec = Spec("legal", Wire.CHAT, max_attempts=6)
        first = self.decide(unusable("{half"), route=route, spec=spec)
        assert (first.state, first.model) == (State.READY, None)
        told = Complaint.from_text(first.complaint)
        assert told == Complaint("small", "code", "message", "{half", times=1)
        second = self.decide(unusable("{more"), route=route, spec=spec, attempts=1, complaint=first.complaint)
        assert (second.state, second.model, second.burned) == (State.READY, "strong", True)

    def test_without_a_stronger_model_bad_output_is_tried_until_the_attempts_are_used_up(self) -> None:
        spec, complaint, states = Spec("legal", Wire.CHAT, max_attempts=4), None, []
        for attempts in range(4):
            made = self.decide(unusable("no"), spec=spec, attempts=attempts, complaint=complaint)
            complaint = made.complaint
            states.append(made.state)
        assert states == [State.READY, State.READY, State.READY, State.FAILED]

    def test_a_model_that_ran_out_of_tokens_twice_is_not_asked_a_third_time(self) -> None:
        spec = Spec("legal", Wire.CHAT, max_attempts=6)
        cut = Reply(None, None, Failure(FailureClass.OUTPUT, "truncated", "cut off"), 0.1, answer="{")
        first = self.decide(cut, spec=spec)
        assert first.state is State.READY
        assert self.decide(cut, spec=spec, attempts=1, complaint=first.complaint).state is State.FAILED
        other = Complaint("small", "schema", "no", times=1).to_text()
        assert self.decide(cut, spec=spec, attempts=1, complaint=other).state is State.READY

    def test_an_unusable_answer_of_another_model_does_not_count(self) -> None:
        route = Route("general", Urgency.STANDARD, "small", fallbacks=("strong", "best"))
        earlier = Complaint("small", "schema", "no", times=2).to_text()
        spec = Spec("legal", Wire.CHAT, max_attempts=9)
        made = self.decide(unusable("x"), route=route, spec=spec, model="strong", attempts=2, complaint=earlier)
        assert (made.state, made.model) == (State.READY, None)

    @pytest.mark.parametrize("cls", [FailureClass.OUTPUT, FailureClass.TRANSIENT])
    @pytest.mark.parametrize("most", range(1, 9))
    @pytest.mark.parametrize("fallbacks", [(), ("strong",), ("strong", "best")])
    def test_max_attempts_bounds_the_calls_over_all_models(
        self, cls: FailureClass, most: int, fallbacks: tuple[str, ...]
    ) -> None:
        route = Route("general", Urgency.STANDARD, "small", fallbacks=fallbacks)
        spec = Spec("legal", Wire.CHAT, max_attempts=most)
        model, complaint, called = "small", None, []
        while True:
            called.append(model)
            made = self.decide(
                failed(cls), route=route, spec=spec, model=model, attempts=len(called) - 1, complaint=complaint
            )
            if made.state is State.FAILED:
                break
            model, complaint = made.model or model, made.complaint or complaint
        assert len(called) == most
        assert list(dict.fromkeys(called)) == ["small", *fallbacks][:most], "every model has its turn"

    def test_a_request_refused_by_status_uses_up_no_attempt(self) -> None:
        route = Route("general", Urgency.STANDARD, "small", fallbacks=("strong",))
        spec = Spec("legal", Wire.CHAT, max_attempts=1)
        made = self.decide(failed(FailureClass.REQUEST, status=400), route=route, spec=spec)
        assert (made.state, made.model, made.burned) == (State.READY, "strong", False)
        charged = self.decide(failed(FailureClass.REQUEST, status=200), route=route, spec=spec)
        assert (charged.state, charged.burned) == (State.FAILED, True)

    def test_a_refused_request_goes_to_the_fallback_or_fails(self) -> None:
        route = Route("general", Urgency.STANDARD, "small", fallbacks=("strong",))
        assert self.decide(failed(FailureClass.REQUEST, status=400), route=route).model == "strong"
        assert self.decide(failed(FailureClass.REQUEST, status=400), route=route, model="strong").state is State.FAILED

    @given(st.integers(0, 30), st.integers(0, 30), st.one_of(st.none(), st.floats(0, 3600)), st.integers(0, 99))
    def test_delays_respect_retry_after_and_stay_bounded(
        self, attempts: int, refusals: int, after: float | None, seed: int
    ) -> None:
        failure = Failure(FailureClass.TRANSIENT, "x", "x", retry_after=after)
        delay = delay_s((), attempts, refusals, failure, random.Random(seed))
        assert (after or 0) <= delay <= max(60.0, (after or 0) + 1.0)

    def test_configured_delays_are_used_in_order(self) -> None:
        failure = Failure(FailureClass.TRANSIENT, "x", "x")
        assert [delay_s((10, 30), n, 0, failure, random.Random(1)) for n in range(3)] == [10, 30, 30]
