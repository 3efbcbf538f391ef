"""Whether a model answers far more slowly than it used to, so that its fallback is the better choice.

Each call is held against the median of its like, of the same account, task type and size (``latency.py``): so neither
long tasks nor a slow kind of model count as slow. A call counts as soon as it has been waited for so long, not only
when it ends.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from laneway.dispatch.time_limit import duration

FAR = 4.0  # times the usual median: a call that takes longer is far slower …
LEAST_S = 1.0  # … unless it takes no longer than this
STEP = 0.07  # how much the latest call counts against all before it: ten in a row make a model slow
IS_SLOW, IS_PROMPT = 0.5, 0.2  # shares of recent calls: the median itself is far slower; and no longer
FASTER = 2.0  # what another model must be, for its sake to leave a slow one
FADED = 0.1  # what an answer of a slow model counts in what is usual of it


def far_s(median: float) -> float:
    """Seconds from which on a call is far slower than usual."""
    return max(FAR * median, LEAST_S)


@dataclass(slots=True)
class Tempo:
    """Of one model, by this worker's calls."""

    is_slow: bool = False
    in_flight: int = 0
    looks: int = 1  # while it is slow and its fallback has room: calls at a time that see whether it still is
    seconds: float = 0.0  # that an answer takes of late; 0: none was seen
    usual: float = 0.0  # that such calls take usually
    _share: float = 0.0  # of recent calls, those that were far slower

    @property
    def weight(self) -> float:
        """As how much of an answer one counts in what is usual: or a slow model would soon be usually slow, while many
        of its calls go on."""
        return FADED if self.is_slow else 1.0

    def took(self, seconds: float, median: float | None, *, counted: bool = False) -> None:
        """A call was answered, or has been waited for so long and goes on. ``median``: of such calls, None where it is
        not known. ``counted``: as far slower, while it went on."""
        self.seconds += (STEP if self.seconds else 1.0) * (seconds - self.seconds)
        if median is None:
            return
        self.usual += (STEP if self.usual else 1.0) * (median - self.usual)
        if counted:
            return
        is_far = seconds >= far_s(median)
        self.looks = 1 if is_far else self.looks + 1
        self._share += STEP * (is_far - self._share)
        if self._share > IS_SLOW:
            self.is_slow = True
        elif self._share < IS_PROMPT:
            self.is_slow = False


class Tempos:
    """Of all models."""

    def __init__(self) -> None:
        self._tempos: defaultdict[str, Tempo] = defaultdict(Tempo)

    def __getitem__(self, model: str) -> Tempo:
        return self._tempos[model]

    def slow(self, model: str) -> str:
        """Why the model counts as far slower than usual, "" when it does not."""
        tempo = self._tempos.get(model)
        if tempo is None or not tempo.is_slow:
            return ""
        return (
            f"far slower than usual (answers take over {duration(far_s(tempo.usual))}, usually {duration(tempo.usual)})"
        )

    def faster(self, model: str, than: str, known: float | None) -> bool:
        """Whether it is worth while to leave the model ``than`` for this one. ``known``: the seconds that its answers
        took in earlier runs."""
        tempo = self._tempos.get(model)
        seconds = tempo.seconds if tempo and tempo.seconds else known
        return seconds is None or FASTER * seconds < self._tempos[than].seconds

    def later(self, model: str, waiting: int, than: str) -> bool:
        """Whether the last of so many tasks that wait for this model will start later than a call to the model ``than``
        takes. By Little's law: calls in flight / seconds for each = calls a second."""
        tempo = self._tempos[model]
        return waiting * tempo.seconds > tempo.in_flight * self._tempos[than].seconds
