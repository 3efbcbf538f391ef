"""What a worker counts of its work, in memory, to be added to the store's figures by time now and then.

One entry for each combination of team, lane, type, model and account: counting a task costs about a microsecond, and
what makes several lines of the figures of it is done once in two seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from laneway.store.tallies import Histogram, Tally, TallyKind, bucket
from laneway.task import CLASSIFY, Attempt, Claimed, Outcome, Settlement, Spec, State, Usage, needs_account

Place = tuple[str | None, str, str, str, str]  # team, lane, type, model, account
# Members of enumerations take longer to look up than to compare.
SUCCEEDED, FAILED, CANCELLED = State.SUCCEEDED, State.FAILED, State.CANCELLED
REFUSED, PUT_BACK = Outcome.RATE_LIMITED, Outcome.CANCELLED  # the latter without a latency: it was not begun


class Sums:
    __slots__ = (
        "calls",
        "cancelled",
        "cost",
        "failed",
        "input_tokens",
        "output_tokens",
        "rate_limited",
        "retries",
        "run",
        "succeeded",
        "wait",
    )

    def __init__(self) -> None:
        self.succeeded = self.failed = self.cancelled = self.calls = self.retries = self.rate_limited = 0
        self.input_tokens = self.output_tokens = 0
        self.cost = 0.0
        self.wait: defaultdict[int, int] = defaultdict(int)
        self.run: defaultdict[int, int] = defaultdict(int)


class Tallies:
    """Since they were taken last."""

    def __init__(self) -> None:
        self._sums: defaultdict[Place, Sums] = defaultdict(Sums)

    def add(self, settled: Iterable[tuple[Claimed, Settlement]]) -> None:
        """Settlements that the store accepted. Written for speed: whatever ends is counted here."""
        kind: tuple[int, str, Spec] | None = None
        for task, s in settled:
            account, state, latency = task.account, s.state, s.latency
            if (task.cell_id, account, task.spec) != kind:  # most of a batch are of one
                kind = task.cell_id, account, task.spec
                sums = self._sums[task.team, task.lane, task.spec.type, task.model, account]
            answering = sums
            if latency or s.outcome is not PUT_BACK:
                if account:
                    _count(sums, s.usage, s.cost, s.outcome, task.fence > 1)
                if task.fence == 1:
                    sums.wait[bucket(task.claimed_at - task.submitted_at)] += 1
            if state is SUCCEEDED:
                if s.model is not None:  # an earlier model's answer
                    answering = self._sums[task.team, task.lane, task.spec.type, s.model, account]
                answering.succeeded += 1
            elif state is FAILED:
                sums.failed += 1
            elif state is CANCELLED:
                sums.cancelled += 1
            else:
                continue
            answering.run[bucket(s.started_at + latency - task.begun_at)] += 1

    def add_call(self, task: Claimed, call: Attempt) -> None:
        """One that a running task made itself, and that has ended."""
        sums = self._sums[task.team, task.lane, task.spec.type, call.model, call.account]
        _count(sums, call.usage, call.cost, call.outcome, call.call % 1000 > 0)

    def take(self, now: float) -> list[Tally]:
        """All of it, as counted at this time."""
        sums, self._sums = self._sums, defaultdict(Sums)
        found: defaultdict[tuple[str | None, TallyKind, str], list[Tally]] = defaultdict(list)
        for place, one in sums.items():
            for kind, name, tally in _of_place(int(now), place, one):
                found[place[0], kind, name].append(tally)
        return [_added(tallies) for tallies in found.values()]


def _count(sums: Sums, usage: Usage | None, cost: float | None, outcome: Outcome | None, again: bool) -> None:
    sums.calls += 1
    if again:
        sums.retries += 1
    if usage is not None:
        sums.input_tokens += usage[0]
        sums.output_tokens += usage[1]
    if cost:
        sums.cost += cost
    if outcome is REFUSED:
        sums.rate_limited += 1


def _of_place(at: int, place: Place, one: Sums) -> Iterator[tuple[TallyKind, str, Tally]]:
    team, lane, type_, model, account = place
    whole = Tally(
        at,
        team,
        TallyKind.ALL,
        "",
        one.succeeded,
        one.failed,
        one.cancelled,
        one.calls,
        one.retries,
        one.rate_limited,
        one.input_tokens,
        one.output_tokens,
        one.cost,
        one.wait,
        one.run,
    )
    names = [(TallyKind.TYPE, type_)]
    if needs_account(model):
        names.append((TallyKind.MODEL, model))
    if account:
        names.append((TallyKind.ACCOUNT, account))
    for kind, name in names:
        yield kind, name, whole._replace(kind=kind, name=name)
    if type_ == CLASSIFY:  # triage's own question is no task of anybody's
        none: Histogram = {}
        whole = whole._replace(succeeded=0, failed=0, cancelled=0, wait=none, run=none)
    yield TallyKind.ALL, "", whole
    yield TallyKind.LANE, lane, whole._replace(kind=TallyKind.LANE, name=lane)


def _added(tallies: list[Tally]) -> Tally:
    if len(tallies) == 1:
        return tallies[0]
    first, *rest = tallies
    for one in rest:
        first = first.plus(one)
    return first
