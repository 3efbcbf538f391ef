from __future__ import annotations

import pytest

from benchmarks.breakeven import faster_from

LOOP = {1: 0.4, 2: 0.7, 3: 1.0, 5: 1.6}


@pytest.mark.parametrize(
    ("ours", "first"),
    [
        ({1: 0.3, 2: 0.3, 3: 0.3, 5: 0.3}, 1),
        ({1: 0.8, 2: 0.8, 3: 0.8, 5: 0.8}, 3),
        ({1: 0.8, 2: 0.7, 3: 0.8, 5: 0.8}, 3),  # as fast is not faster
        ({1: 0.3, 2: 0.6, 3: 1.1, 5: 0.8}, 5),  # faster once and slower again does not count
        ({1: 2.0, 2: 2.0, 3: 2.0, 5: 2.0}, None),
    ],
)
def test_faster_from_is_the_size_from_which_on_ours_is_faster_at_all(ours: dict[int, float], first: int | None) -> None:
    assert faster_from(ours, LOOP) == first
