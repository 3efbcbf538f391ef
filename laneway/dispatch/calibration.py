"""How far off the token estimates are: what calls really used over what was expected of them.

For a model and a task type; where that pair has not been seen, for the model; else the estimates as they are. The first
call counts in full, the next ones as in a plain mean, later ones for a twentieth each.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from laneway.dispatch.limits import Size
from laneway.task import Usage

WEIGHT = 0.05  # of the newest call, once there were twenty
OUTPUT_SPREAD = 0.5  # standard deviation over the mean, supposed while only one call was seen
INPUT_SPREAD = 0.1
ERRORS = 2.0  # standard errors of the mean that are reserved on top of it


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

    def high(self) -> float:
        """The mean, and what it may be off by after so few calls: what that comes to is given back."""
        return self.mean + ERRORS * self.error

    def of_all(self, still_open: int) -> float:
        """The mean of these and of those in flight. Those that end first are the shorter ones: what is still open is
        longer by variance / mean² on average (the inspection paradox), and so is the mean of all."""
        return self.mean * (1 + OUTPUT_SPREAD**2 * still_open / self.seen) if self.seen else self.mean

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return math.sqrt(self.variance / min(self.seen, 2 / WEIGHT - 1)) if self.seen else 0.0


class Length:
    """How long answers are, told in two ways: so many times what was expected of each, or so many tokens whatever was.
    Which of the two has been nearer of late is believed: where ``max_tokens`` says nothing of the answer, its multiple
    says nothing either."""

    __slots__ = ("further_off", "plain", "share")

    def __init__(self, share: Ratio | None = None, plain: Ratio | None = None, further_off: float = 0.0) -> None:
        self.share = share or Ratio()
        self.plain = plain or Ratio()
        self.further_off = further_off  # by how much the share's squared errors are above the plain mean's, tokens²

    def learn(self, used: int, expected: int) -> None:
        if self.plain.seen:
            share, plain = used - self.share.mean * expected, used - self.plain.mean
            step = max(WEIGHT, 1 / self.plain.seen)
            self.further_off += step * (share * share - plain * plain - self.further_off)
        self.share.learn(used / expected, OUTPUT_SPREAD)
        self.plain.learn(float(used), OUTPUT_SPREAD)

    def expected(self, output_tokens: int, still_open: int) -> tuple[float, float, float]:
        """Tokens to reserve, their variance, and the standard error of what is expected."""
        if self.plain.seen and self.further_off > 0:
            return self.plain.of_all(still_open), self.plain.variance, self.plain.error
        share = self.share
        return output_tokens * share.of_all(still_open), share.variance * output_tokens**2, share.error * output_tokens


class Calibration:
    """Ratios by model and task type; type "" is the model as a whole."""

    def __init__(self) -> None:
        self._input: dict[tuple[str, str], Ratio] = {}
        self._output: dict[tuple[str, str], Length] = {}
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
        input_ratio = self._input.get(self._seen(self._input, model, type_)) or Ratio()
        key = self._seen(self._output, model, type_)
        tokens, variance, error = (self._output.get(key) or Length()).expected(output_tokens, self._open[key])
        expected = round(tokens)
        if bounded is None:
            ratio = self._allowed.get(model)
            allowed = round(output_tokens * ratio.high()) if ratio else output_tokens
        elif bounded:
            expected = min(expected, output_tokens)
            allowed = output_tokens
        else:
            allowed = expected
        return Size(round(input_tokens * input_ratio.high()), expected, allowed, bounded is not False, variance, error)

    def learn(
        self, model: str, type_: str, input_tokens: int, output_tokens: int, used: Usage, *, bounded: bool
    ) -> None:
        """``used`` as the provider counts it."""
        self._changed.add(model)
        for key in _keys(model, type_):
            if input_tokens:
                self._input.setdefault(key, Ratio()).learn(used.input_tokens / input_tokens, INPUT_SPREAD)
            if output_tokens:
                self._output.setdefault(key, Length()).learn(used.output_tokens, output_tokens)
        if output_tokens:
            charged, spread = (1.0, 0.0) if bounded else (used.output_tokens / output_tokens, OUTPUT_SPREAD)
            self._allowed.setdefault(model, Ratio()).learn(charged, spread)

    @staticmethod
    def _seen(known: Mapping[tuple[str, str], object], model: str, type_: str) -> tuple[str, str]:
        """The pair, where something is known of it, else the model as a whole."""
        return (model, type_) if (model, type_) in known else (model, "")

    # for the next run ---------------------------------------------------------------------------------------------
    def changed(self) -> set[str]:
        """The models of which something was learnt since the last time this was asked."""
        changed, self._changed = self._changed, set()
        return changed

    def state(self, model: str) -> dict[str, Any]:
        allowed = self._allowed.get(model)
        return {
            "input": {type_: _kept(ratio) for (of, type_), ratio in self._input.items() if of == model},
            "output": {type_: _kept_length(length) for (of, type_), length in self._output.items() if of == model},
            "allowed": _kept(allowed) if allowed else None,
        }

    def restore(self, model: str, state: Mapping[str, Any]) -> None:
        """Go on from what was kept; what is not understood is passed over."""
        for type_, numbers in _items(state.get("input")):
            if ratio := _restored(numbers):
                self._input.setdefault((model, type_), ratio)
        for type_, numbers in _items(state.get("output")):
            if length := _restored_length(numbers):
                self._output.setdefault((model, type_), length)
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


def _kept_length(length: Length) -> list[float]:
    return [*_kept(length.share), *_kept(length.plain), round(length.further_off, 3)]


def _restored_length(numbers: Any) -> Length | None:
    """Also what was kept when only shares were."""
    if not isinstance(numbers, list) or not (share := _restored(numbers[:3])):
        return None
    plain = _restored(numbers[3:6])
    if plain is None or len(numbers) != 7 or not isinstance(numbers[6], int | float):
        return Length(share)
    return Length(share, plain, float(numbers[6]))


def _items(kept: Any) -> Iterable[tuple[str, Any]]:
    return kept.items() if isinstance(kept, Mapping) else ()
