"""By when a task is to start: the place in its queue."""

from __future__ import annotations

import math

WRITING_PER_S = 50.0  # tokens: a prior, for it is the order of sizes that counts; what models do lies around it
READING_PER_S = 2000.0
LONGEST_S = 600.0
SHIFT = 0.01  # of the target wait, at most, by which long tasks go before short ones
HALFWAY_S = 60.0  # a task that runs so long goes half of that earlier


def expected_run_s(input_tokens: int, output_tokens: int) -> float:
    """Seconds that a call of this size takes, in steps of √2: what is about as long keeps its order. 0 where nothing is
    known of its size, as of a Python task's."""
    seconds = input_tokens / READING_PER_S + output_tokens / WRITING_PER_S
    if seconds <= 0:
        return 0.0
    return min(LONGEST_S, math.pow(2.0, round(2 * math.log2(seconds)) / 2))


def due_at(since: float, target_wait: float, deadline: float | None, input_tokens: int, output_tokens: int) -> float:
    """The time by which it is to start. Of tasks submitted together the longest come first, so that none of them runs
    alone at the end (R. L. Graham, "Bounds on Multiprocessing Timing Anomalies", 1969); a task submitted later than
    another goes before it by no more than a hundredth of the target wait, and none counts as late for its length. One
    with a deadline starts so early that it can be done by then."""
    run = expected_run_s(input_tokens, output_tokens)
    due = since + target_wait - SHIFT * target_wait * run / (run + HALFWAY_S)
    return due if deadline is None else min(due, deadline - run)
