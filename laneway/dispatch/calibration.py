"""How far off the token estimates are: what calls really used over what was expected of them.

For a model and a task type; where that pair has not been seen, for the model; else the estimates as they are. The first
call counts in full, the next ones as in a plain mean, later ones for a twentieth each.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from laneway.dispatch.limits import Size
from laneway.task import Usage

WEIGHT = 0.05  # of the newest call, once there were twenty
OUTPUT_SPREAD = 0.5  # standard deviation over the mean, supposed while only one call was seen
INPUT_SPREAD = 0.1
ERRORS = 2.0  # standard errors of the mean that are reserved on top of it: what they come to is given back


class Ratio:
    """A running mean, and the variance about it."""

    __slots__ = ("mean", "seen", "variance")

    def __init__(self, seen: int = 0, mean: float = 1.0, variance: float = 0.0) -> None:
        self.seen = seen
        self.mean = mean
        self.variance = variance

    def learn(self, value: float, spread: float) -> None:
        self.seen += 1
        if self.seen == 1:
            self.mean, self.variance = value, (spread * value) ** 2
            return
        step = max(WEIGHT, 1 / self.seen)
        off = value - self.mean
        self.mean += step * off
        self.variance += step * (off * off * (1 - step) - self.variance)

    def high(self, still_open: int = 0) -> float:
        """The mean, and what it may be off by after so few calls. Those that end first are the shorter ones: what is
        still open is longer by variance / mean² on average (the inspection paradox), and so is the mean of all."""
        if not self.seen:
            return self.mean
        longer = OUTPUT_SPREAD**2 * still_open / self.seen
        return self.mean * (1 + longer) + ERRORS * math.sqrt(self.variance / min(self.seen, 2 / WEIGHT - 1))


class Calibration:
    """Ratios by model and task type; type "" is the model as a whole."""

    def __init__(self) -> None:
        self._input: dict[tuple[str, str], Ratio] = {}
        self._output: dict[tuple[str, str], Ratio] = {}
        self._allowed: dict[str, Ratio] = {}  # what is allowed, or else written, over what was expected
        self._changed: set[str] = set()
        self._open: defaultdict[tuple[str, str], int] = defaultdict(int)  # calls in flight

    def began(self, model: str, type_: str) -> None:
        """A call is in flight until ``ended``, whatever comes of it."""
        for key in _keys(model, type_):
            self._open[key] += 1

    def ended(self, model: str, type_: str) -> None:
        for key in _keys(model, type_):
            self._open[key] -= 1

    def size(
        self, model: str, input_tokens: int, output_tokens: int, type_: str = "", bounded: bool | None = None
    ) -> Size:
        """The size to reserve for a task's own estimates. ``bounded``: whether ``output_tokens`` is the most that it
        may write, or a mere guess; None where that is not known yet."""
        input_ratio, _ = self._find(self._input, model, type_)
        output_ratio, still_open = self._find(self._output, model, type_)
        expected = round(output_tokens * output_ratio.high(still_open))
        if bounded is None:
            ratio = self._allowed.get(model)
            allowed = round(output_tokens * ratio.high()) if ratio else output_tokens
        elif bounded:
            expected = min(expected, output_tokens)
            allowed = output_tokens
        else:
            allowed = expected
        variance = output_ratio.variance * output_tokens**2
        return Size(round(input_tokens * input_ratio.high()), expected, allowed, bounded is not False, variance)

    def learn(
        self, model: str, type_: str, input_tokens: int, output_tokens: int, used: Usage, *, bounded: bool
    ) -> None:
        """``used`` as the provider counts it."""
        self._changed.add(model)
        for key in _keys(model, type_):
            if input_tokens:
                self._input.setdefault(key, Ratio()).learn(used.input_tokens / input_tokens, INPUT_SPREAD)
            if output_tokens:
                self._output.setdefault(key, Ratio()).learn(used.output_tokens / output_tokens, OUTPUT_SPREAD)
        if output_tokens:
            charged, spread = (1.0, 0.0) if bounded else (used.output_tokens / output_tokens, OUTPUT_SPREAD)
            self._allowed.setdefault(model, Ratio()).learn(charged, spread)

    def _find(self, ratios: Mapping[tuple[str, str], Ratio], model: str, type_: str) -> tuple[Ratio, int]:
        """And how many of those that it is a mean of are in flight."""
        for key in ((model, type_), (model, "")):
            if ratio := ratios.get(key):
                return ratio, self._open[key]
        return Ratio(), 0

    # for the next run ---------------------------------------------------------------------------------------------
    def changed(self) -> set[str]:
        """The models of which something was learnt since the last time this was asked."""
        changed, self._changed = self._changed, set()
        return changed

    def state(self, model: str) -> dict[str, Any]:
        def kept(ratios: Mapping[tuple[str, str], Ratio]) -> dict[str, list[float]]:
            return {type_: _kept(ratio) for (of, type_), ratio in ratios.items() if of == model}

        allowed = self._allowed.get(model)
        return {
            "input": kept(self._input),
            "output": kept(self._output),
            "allowed": _kept(allowed) if allowed else None,
        }

    def restore(self, model: str, state: Mapping[str, Any]) -> None:
        """Go on from what was kept; what is not understood is passed over."""
        for name, ratios in (("input", self._input), ("output", self._output)):
            kept = state.get(name)
            for type_, numbers in kept.items() if isinstance(kept, Mapping) else ():
                if ratio := _restored(numbers):
                    ratios.setdefault((model, type_), ratio)
        if ratio := _restored(state.get("allowed")):
            self._allowed.setdefault(model, ratio)


def _keys(model: str, type_: str) -> tuple[tuple[str, str], ...]:
    return ((model, ""), (model, type_)) if type_ else ((model, ""),)


def _kept(ratio: Ratio) -> list[float]:
    return [ratio.seen, round(ratio.mean, 5), round(ratio.variance, 5)]


def _restored(numbers: Any) -> Ratio | None:
    if not isinstance(numbers, list) or len(numbers) != 3 or not all(isinstance(n, int | float) for n in numbers):
        return None
    seen, mean, variance = numbers
    return Ratio(int(seen), float(mean), float(variance)) if seen >= 1 and mean >= 0 and variance >= 0 else None
