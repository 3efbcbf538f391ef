"""What will befall a request: drawn from the seed and its number in order of arrival, and from nothing else.

So a run that is repeated after ``POST /reset`` meets the same faults, and raising one rate does not move the others.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from laneway.simulator.options import Options

Accident = Literal["none", "error", "cut", "overload"]


@dataclass(frozen=True, slots=True)
class Fate:
    """Independent draws, each uniform in (0, 1)."""

    _refused: float
    _failed: float
    _malformed: float
    way: float  # in which way the content is malformed
    _overloaded: float
    _slow: float

    def refused(self, options: Options) -> bool:
        """An injected 429."""
        return self._refused < options.rate_limit_rate

    def accident(self, options: Options, *, stream: bool) -> Accident:
        """What happens to the answer. A 500 excludes a cut, so that their two rates add up; only streams that are not
        cut break off with an overload."""
        if self._failed < options.error_rate:
            return "error"
        if self._failed < options.error_rate + options.cut_rate:
            return "cut"
        return "overload" if stream and self._overloaded < options.overload_stream_rate else "none"

    def malformed(self, options: Options) -> bool:
        return self._malformed < options.malformed_rate

    def latency_s(self, median: float, sigma: float) -> float:
        """Seconds, log-normal: exp(sigma * normal) times the median."""
        if not sigma:
            return median
        return median * math.exp(NormalDist(0.0, sigma).inv_cdf(self._slow))


def fate(seed: int, number: int) -> Fate:
    """The fate of the request that arrived as the ``number``-th."""
    drawn = hashlib.blake2b(f"{seed}|{number}".encode(), digest_size=24).digest()
    return Fate(*((one + 0.5) / 2**32 for one in struct.unpack("<6I", drawn)))
