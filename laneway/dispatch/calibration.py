"""How far off the token estimates are, model by model: what calls really used over what was expected of them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from laneway.dispatch.limits import Size
from laneway.task import Usage

WEIGHT = 0.05  # of the newest call in the running mean


@dataclass(slots=True)
class _Ratio:
    input: float = 1.0
    output: float = 1.0


class Calibration:
    def __init__(self) -> None:
        self._ratios: defaultdict[str, _Ratio] = defaultdict(_Ratio)

    def size(self, model: str, input_tokens: int, output_tokens: int) -> Size:
        """The size to reserve for a task's own estimates. ``output_tokens`` is the most it may write."""
        ratio = self._ratios[model]
        return Size(
            round(input_tokens * ratio.input),
            min(output_tokens, round(output_tokens * ratio.output)),
            output_tokens,
        )

    def learn(self, model: str, input_tokens: int, output_tokens: int, used: Usage) -> None:
        ratio = self._ratios[model]
        if input_tokens:
            ratio.input += WEIGHT * (used.input_tokens / input_tokens - ratio.input)
        if output_tokens:
            ratio.output += WEIGHT * (used.output_tokens / output_tokens - ratio.output)
