from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ideal import Ideal, Work, ideal, most_at_once, waits
from laneway.simulator.faults import fate
from laneway.simulator.limits import Charge
from laneway.simulator.options import Options


def work(n: int = 1, *accounts: str, **more: object) -> list[Work]:
    return [Work(accounts or ("a",), **more) for _ in range(n)]  # type: ignore[arg-type]


def starts(found: Ideal) -> list[float]:
    return [round(start.at, 3) for start in found.starts]


def test_concurrency_alone_runs_in_rounds() -> None:
    found = ideal(work(10), {"a": Options(latency=2, concurrency=4)})
    assert starts(found) == [0, 0, 0, 0, 2, 2, 2, 2, 4, 4]
    assert found.makespan == pytest.approx(6)
    assert most_at_once(found) == 4


def test_requests_go_as_the_bucket_which_is_full_at_first_refills() -> None:
    found = ideal(work(5), {"a": Options(latency=0.5, rpm=60, burst=2)})
    assert starts(found) == [0, 0, 1, 2, 3]
    assert found.makespan == pytest.approx(3.5)


def test_tokens_pace_by_size_and_an_oversize_request_leaves_a_debt() -> None:
    sizes = [30, 10, 60, 10]  # 10 a second, a bucket of 30
    tasks = [Work(("a",), Charge(1, n, n)) for n in sizes]
    found = ideal(tasks, {"a": Options(latency=0.1, input_tpm=600, burst=3)})
    assert starts(found) == [0, 1, 4, 8]  # 60 goes at 30, when the bucket is full, and owes 30


def test_what_an_account_makes_wait_is_not_overtaken_on_it_but_leaves_the_others_alone() -> None:
    large, small = Charge(1, 20, 20), Charge(1, 5, 5)
    tasks = [Work(("a",), large), Work(("a",), large), Work(("a",), small, model="m"), Work(("b",), small)]
    found = ideal(tasks, {name: Options(latency=1, input_tpm=600, burst=2) for name in "ab"})
    assert starts(found) == [0, 2, 2.5, 0]


def test_the_lowest_rank_goes_first_and_then_the_earliest() -> None:
    tasks = [
        Work(("a",), rank=2),
        Work(("a",), rank=2),
        Work(("a",), rank=1, arrival=0.5),
        Work(("a",), rank=0, arrival=3),
    ]
    found = ideal(tasks, {"a": Options(latency=1, concurrency=1)})
    assert starts(found) == [0, 2, 1, 3]
    assert [round(wait, 3) for wait in waits(tasks, found)] == [0, 2, 0.5, 0]


def test_a_full_lane_holds_up_only_itself() -> None:
    tasks = [Work(("a",), lane=lane) for lane in ("x", "x", "x", "y", "y")]
    found = ideal(tasks, {"a": Options(latency=1, concurrency=3)}, lanes={"x": 1})
    assert starts(found) == [0, 1, 2, 0, 0]
    with pytest.raises(ValueError, match="no place in their lane"):
        ideal(tasks, {"a": Options()}, lanes={"x": 0})


def test_a_task_takes_the_first_of_its_accounts_that_admits() -> None:
    found = ideal(work(5, "a", "b"), {"a": Options(latency=1, concurrency=1), "b": Options(latency=3, concurrency=1)})
    assert [start.account for start in found.starts] == ["a", "b", "a", "a", "a"]
    assert starts(found) == [0, 0, 1, 2, 3]


def test_latencies_are_the_simulators_by_number_of_arrival() -> None:
    options = Options(latency=0.4, spread=0.7, seed=5, token_latency=0.01, concurrency=1)
    found = ideal([Work(("a",), output_tokens=n) for n in (10, 90)], {"a": options})
    expected = [fate(5, 1).latency_s(0.5, 0.7), fate(5, 2).latency_s(1.3, 0.7)]
    assert [start.latency for start in found.starts] == pytest.approx(expected)
    assert found.makespan == pytest.approx(sum(expected))


def test_accounts_on_one_simulator_share_its_numbers() -> None:
    tasks = [Work(("a",)), Work(("b",))]
    options = Options(latency=1, spread=1, seed=3)
    together = ideal(tasks, {"a": options, "b": options}, servers={"a": "s", "b": "s"})
    assert [start.latency for start in together.starts] == pytest.approx([fate(3, n).latency_s(1, 1) for n in (1, 2)])
    apart = ideal(tasks, {"a": options, "b": options})
    assert apart.starts[0].latency == apart.starts[1].latency


def test_nothing_to_do_takes_no_time() -> None:
    assert ideal([], {}) == Ideal(0.0, [])


@given(
    st.lists(st.tuples(st.integers(1, 50), st.floats(0, 20), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(10, 1000),
    st.integers(100, 5000),
    st.integers(1, 5),
    st.sampled_from([0.1, 1.0, 5.0]),
)
def test_nothing_is_above_a_limit_and_nothing_waits_that_could_go(
    drawn: list[tuple[int, float, int]], rpm: int, tpm: int, concurrency: int, burst: float
) -> None:
    tasks = [Work(("a",), Charge(1, n, n), arrival, rank) for n, arrival, rank in drawn]
    found = ideal(
        tasks, {"a": Options(latency=0.3, spread=0.5, rpm=rpm, input_tpm=tpm, concurrency=concurrency, burst=burst)}
    )
    assert most_at_once(found) <= concurrency
    order = sorted(range(len(tasks)), key=lambda i: found.starts[i].at)
    first, last = found.starts[order[0]].at, found.starts[order[-1]].at
    assert all(start.at >= task.arrival for task, start in zip(tasks, found.starts, strict=True))
    capacity = max(1.0, rpm / 60 * burst)
    assert len(tasks) <= capacity + (last - first) * rpm / 60 + 1e-3
    for at, i in enumerate(order):  # a later start of a better rank had not arrived yet
        for j in order[at + 1 :]:
            if found.starts[j].at > found.starts[i].at:
                assert tasks[j].rank >= tasks[i].rank or tasks[j].arrival > found.starts[i].at


def test_what_comes_after_others_is_there_when_the_last_of_them_ends() -> None:
    slow, quick = (
        {"a": Options(latency=1)},
        [Work(("a",)), Work(("a",)), Work(("a",), after=(0, 1, 1)), Work(("a",), after=(2,))],
    )
    found = ideal(quick, slow)
    assert starts(found) == [0, 0, 1, 2]
    assert found.makespan == pytest.approx(3)


def test_tasks_that_come_after_each_other_can_never_start() -> None:
    with pytest.raises(ValueError, match="after each other"):
        ideal([Work(("a",), after=(1,)), Work(("a",), after=(0,))], {"a": Options(latency=1)})
