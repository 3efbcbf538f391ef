"""What a worker has to do, by urgency: what its parts of the fleet's limits are asked for by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf

from laneway.dispatch.limits import Size
from laneway.store.cells import Head
from laneway.store.grants import ByUrgency
from laneway.task import Urgency

Flown = tuple[str, str, Urgency]  # (account, lane, urgency) of a call in flight


class Work:
    """As seen in the last round."""

    def __init__(self) -> None:
        self.heads: Sequence[Head] = ()  # of tasks that may go, and of calls that running tasks want to make
        self.in_flight: Counter[Flown] = Counter()

    def of_models(self, models: Collection[str], account: str, most: float) -> ByUrgency:
        """Calls that could be made on an account, which has these models."""
        ready = ((head.urgency, head.ready) for head in self.heads if head.model in models)
        flown = ((urgency, n) for (own, _, urgency), n in self.in_flight.items() if own == account)
        return by_urgency((*ready, *flown), most)

    def of_lane(self, lane: str, most: float) -> ByUrgency:
        ready = ((head.urgency, head.ready) for head in self.heads if head.lane == lane)
        flown = ((urgency, n) for (_, own, urgency), n in self.in_flight.items() if own == lane)
        return by_urgency((*ready, *flown), most)

    def usual_size(self, models: Collection[str], measure: Callable[[str, int, int], Size]) -> Size:
        """The mean over the next calls of these models."""
        heads = (head for head in self.heads if head.model in models)
        sizes = [measure(head.model, *size[1:]) for head in heads for size in head.sizes]
        if not sizes:
            return Size()
        tokens = [(size.input_tokens, size.output_tokens, size.max_output_tokens) for size in sizes]
        return Size(*(round(sum(kind) / len(sizes)) for kind in zip(*tokens, strict=True)))


def by_urgency(counts: Iterable[tuple[Urgency, float]], most: float = inf) -> ByUrgency:
    """The most urgent first, ``most`` in all."""
    found = dict.fromkeys(Urgency, 0.0)
    for urgency, n in counts:
        found[urgency] += n
    for urgency, n in found.items():
        found[urgency] = min(n, most)
        most -= found[urgency]
    return found[Urgency.IMMEDIATE], found[Urgency.URGENT], found[Urgency.STANDARD], found[Urgency.RELAXED]
