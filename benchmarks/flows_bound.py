"""The shortest time for many documents on one account: the event simulation of ``ideal`` with what comes after what."""

from __future__ import annotations

from benchmarks.documents import ANALYSES, JOIN, LATENCY_S, REVIEW, documents, risky
from benchmarks.ideal import Work, ideal
from laneway.simulator.models import parse_models
from laneway.simulator.options import Options

BURST_S = 1.0  # of the account's requests that its bucket holds


def models() -> dict[str, dict[str, float]]:
    """The simulator's ``--models``: one for each step, with its latency."""
    return {step: {"latency": latency, "input_price": 0.15, "output_price": 0.6} for step, latency in LATENCY_S.items()}


def bound_s(n: int, requests_per_minute: float | None) -> tuple[float, float]:
    """Seconds: the better one of two orders, and that in which begun documents go before new ones. The first knows the
    longest way that is left of each, and so has all analyses done before the last documents are joined."""
    options = Options(rpm=requests_per_minute, burst=BURST_S, models=parse_models(models()))
    by_age, by_path = (ideal(_work(n, path=path), {"main": options}).makespan for path in (False, True))
    return min(by_age, by_path), by_age


def _work(n: int, *, path: bool) -> list[Work]:
    tasks: list[Work] = []
    for number, document in enumerate(documents(n)):
        review = risky(document)
        left = LATENCY_S[JOIN] + (LATENCY_S[REVIEW] if review else 0.0)  # seconds after the analyses

        def add(step: str, seconds_left: float, *after: int, age: int = number) -> int:
            rank = -round(1000 * seconds_left) if path else age
            tasks.append(Work(("main",), rank=rank, model=step, after=after))
            return len(tasks) - 1

        analyses = [add(step, LATENCY_S[step] + left) for step in ANALYSES]
        joined = add(JOIN, left, *analyses)
        if review:
            add(REVIEW, LATENCY_S[REVIEW], joined)
    return tasks
