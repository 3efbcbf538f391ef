"""Counters and histograms of what ended and what was called, from the figures by time that workers add to the store.

They begin at 0 with the first look and grow from there, as Prometheus's counters do. The figures lie in hours; the hour
of now and the one before are read again each time, since workers add to them, older ones once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric

from laneway.store.tallies import HOUR_S, LEAST_S, STEP, TallyKind

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

# Upper edges of Prometheus's buckets, in seconds. A bucket of ours goes where its middle lies: off by a tenth at most.
SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
OUTCOMES = ("succeeded", "failed", "cancelled")
FIELDS = (*OUTCOMES, "calls", "retries", "rate_limited", "input_tokens", "output_tokens", "cost")
KINDS = (TallyKind.LANE, TallyKind.TYPE, TallyKind.MODEL, TallyKind.ACCOUNT)
TIMED = TallyKind.LANE  # whose times are shown: each has a hundred numbers

Place = tuple[TallyKind, str, str, int]  # kind, name, field; or "wait" or "run", and the bucket
Sums = dict[Place, float]


class TallyMetrics:
    """``name``: of a kind and a name, the bounded label for it."""

    def __init__(self, lw: Laneway, name: Callable[[str, str], str]) -> None:
        self._lw = lw
        self._name = name
        self._before: Sums = defaultdict(float)  # of hours that are over, less what there was at the first look
        self._from: float | None = None

    async def read(self, now: float) -> list[Metric]:
        """Raises StoreError."""
        open_from = now // HOUR_S * HOUR_S - HOUR_S
        if self._from is None:
            await self._add(self._before, open_from, now + HOUR_S, times=-1)
            self._from = open_from
        if open_from > self._from:
            await self._add(self._before, self._from, open_from)
            self._from = open_from
        sums = self._before.copy()
        await self._add(sums, open_from, now + HOUR_S)
        return [*self._counters(sums), *self._histograms(sums)]

    async def _add(self, sums: Sums, since: float, until: float, *, times: int = 1) -> None:
        for kind in KINDS:
            timed = kind is TIMED
            for one in await self._lw.store.tallies(kind, since, until, span=HOUR_S, whole=True, times=timed):
                name = self._name(kind.value, one.name)
                for field in FIELDS:
                    sums[kind, name, field, 0] += times * getattr(one, field)
                for what, histogram in (("wait", one.wait), ("run", one.run)) if timed else ():
                    for bucket, n in histogram.items():
                        sums[kind, name, what, bucket] += times * n

    def _counters(self, sums: Sums) -> Iterable[Metric]:
        lane, type_, model, account = KINDS
        yield counter("ended_tasks", "Tasks that ended.", sums, lane, "outcome", {one: one for one in OUTCOMES})
        yield counter("ended_tasks_by_type", "The same.", sums, type_, "outcome", {one: one for one in OUTCOMES})
        directions = {"input_tokens": "input", "output_tokens": "output"}
        yield counter("tokens", "Tokens, as providers counted them.", sums, model, "direction", directions)
        yield counter("cost_usd", "What they cost, as far as prices are known.", sums, model, None, {"cost": ""})
        yield counter("calls", "Calls to the account.", sums, account, None, {"calls": ""})
        yield counter("retries", "Of them, those of tasks that had made one.", sums, account, None, {"retries": ""})
        refused = "Of them, those that were refused for a limit."
        yield counter("rate_limited_calls", refused, sums, account, None, {"rate_limited": ""})

    def _histograms(self, sums: Sums) -> Iterable[Metric]:
        said = {"wait": "From submission to a task's first call.", "run": "From its first call to its end."}
        for what, words in said.items():
            family = HistogramMetricFamily(f"laneway_task_{what}_seconds", words, labels=["lane"])
            for name in names(sums, TIMED):
                found = [(place[3], n) for place, n in sums.items() if place[:3] == (TIMED, name, what)]
                middles = [(LEAST_S * STEP**bucket, max(0.0, n)) for bucket, n in found]
                buckets = [(str(edge), sum(n for at, n in middles if at <= edge)) for edge in SECONDS]
                buckets.append(("+Inf", sum(n for _, n in middles)))
                family.add_metric([name], buckets, sum(at * n for at, n in middles))
            yield family


def names(sums: Sums, kind: TallyKind) -> list[str]:
    return sorted({name for own, name, _, _ in sums if own is kind})


def counter(
    metric: str, said: str, sums: Sums, kind: TallyKind, label: str | None, fields: dict[str, str]
) -> CounterMetricFamily:
    """``fields``: each a series, with its value of the label, where there is one."""
    labels = [kind.value] if label is None else [kind.value, label]
    family = CounterMetricFamily(f"laneway_{metric}", said, labels=labels)
    for name in names(sums, kind):
        for field, value in fields.items():
            family.add_metric(
                [name] if label is None else [name, value], max(0.0, sums.get((kind, name, field, 0), 0.0))
            )
    return family
