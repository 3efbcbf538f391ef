"""From what is to be done to what it takes: money, time, and the limit that binds. Pure.

The low figure of the time is physics: no schedule passes the narrowest limit faster, and the last call still has to
end. The high one adds what goes wrong: dearer and slower calls, retries, the longest call at the end, urgent work that
goes first and leaves others' limits unused, a concurrency that has to be found. These are independent of each other and
do not all happen at once: their excess over the usual is added in squares.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from laneway.dispatch.bucket import BURST_S
from laneway.dispatch.finding.finder import FIRST_CALLS, MAXIMUM
from laneway.dispatch.retry import FIRST_DELAY_S, LONGEST_DELAY_S
from laneway.planning.capacity import Load, Needed, Place, Pool, Slots, in_turn, needed, rates_of, unknown_slots
from laneway.planning.demand import Amount, Way
from laneway.planning.expect import Expectation, cost_of, expect
from laneway.planning.history import History
from laneway.planning.ranges import NOTHING, Range, total
from laneway.providers.model import Account, Model

# Seconds of a limit that a provider lets go at once. Remaining headers of OpenAI and Anthropic begin at a full minute;
# Azure judges over 1 to 10 s, Together per second. A server on this machine is taken at its word.
FULL_MINUTE_S = 60.0
QUICKEST = math.log(2)  # of a call's time, in which an unknown concurrency doubles while nobody refuses (finding.md)
AT_ONCE_S = {"azure": 10.0, "together": 1.0}
UNEVEN = 1.07  # how much longer a limit takes in practice than by its rate
CALLS_A_SECOND = Range(250.0, 2000.0)  # what one process of Laneway can do, on a slow and on a fast machine
JITTER = 0.75  # of the longest wait between tries: an unlucky draw
LEARNING_CALLS = 2.0  # times a call that a run's start is held back where more is reserved than will be used
START_S = 0.5  # until the first call, at most
INTAKE_S = 0.0005  # a task, at most


@dataclass(frozen=True, slots=True)
class Setting:
    """The models by name, the lanes' concurrency, the calls at once in all, and which accounts are on this machine."""

    models: Mapping[str, Model]
    lanes: Mapping[str, int] = field(default_factory=dict)
    slots: int = 2000
    local: Callable[[Account], bool] = lambda account: False
    left_today: Mapping[str, float] = field(default_factory=dict)  # requests, of accounts with a limit a day


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds and USD. ``cost`` None: some price is unknown; then ``cost_known`` is that of the other models."""

    ways: tuple[Expectation, ...]
    seconds: Range
    bound_by: str | None
    sequential_s: Range
    cost: Range | None
    cost_known: Range
    unpriced: tuple[str, ...]

    @property
    def input_tokens(self) -> Range:
        return total(one.input_tokens for one in self.ways)

    @property
    def output_tokens(self) -> Range:
        return total(one.output_tokens for one in self.ways)

    def cost_on(self, model: Model) -> Range | None:
        """USD for everything on one model, answers of the same length; None where a price is unknown."""
        costs = [cost_of(model, one.input_tokens, one.output_tokens, one.long_tokens) for one in self.ways]
        return None if None in costs else total(cost for cost in costs if cost)


def estimate(ways: Mapping[Way, Amount], setting: Setting, history: History | None = None) -> Estimate:
    """``setting.models`` has every model of every way."""
    history = history or History()
    expected = []
    for way, amount in ways.items():
        model = setting.models[way.model]
        local = all(setting.local(account) for account in model.accounts)
        expected.append(_with_fallbacks(expect(way, amount, model, history, local=local), setting))
    seconds, by = _time(expected, setting, history)
    unpriced = sorted({one.way.model for one in expected if one.cost is None})
    known = total(one.cost for one in expected if one.cost is not None)
    return Estimate(
        ways=tuple(expected),
        seconds=seconds,
        bound_by=by,
        sequential_s=total(one.calls.times(one.call_s) for one in expected),
        cost=None if unpriced else known,
        cost_known=known,
        unpriced=tuple(unpriced),
    )


def _with_fallbacks(one: Expectation, setting: Setting) -> Expectation:
    """The calls made again may go to the dearest model of the route."""
    if one.cost is None:
        return one
    again = max(0.0, one.calls.high / one.tasks - 1)
    dearest = one.cost.high
    for name in one.way.fallbacks:
        cost = cost_of(setting.models[name], one.input_tokens, one.output_tokens, one.long_tokens)
        dearest = max(dearest, cost.high if cost else 0.0)
    more = (dearest - one.cost.high) * again / (1 + again)
    return replace(one, cost=Range(one.cost.low, one.cost.high + more))


# time -------------------------------------------------------------------------------------------------------------
def _time(expected: Sequence[Expectation], setting: Setting, history: History) -> tuple[Range, str | None]:
    if not expected:
        return NOTHING, None
    tasks = sum(one.tasks for one in expected)
    shortest = min(one.call_s.low for one in expected)
    fast = [_load(one, setting, lambda range: range.low) for one in expected]
    best = _place(expected, setting, history, "fast")
    starts = needed(fast, best, calls_take_time=False).seconds * (1 - 1 / tasks)
    low = max(needed(fast, best).seconds, starts + shortest, shortest)

    usual = [_load(one, setting, lambda range: range.middle) for one in expected]
    binding = needed(usual, _place(expected, setting, history, "usual"))
    a_call = max(one.call_s.middle for one in expected)

    slow = [_load(one, setting, lambda range: range.high) for one in expected]
    worst = in_turn(slow, _place(expected, setting, history, "slow")).seconds * UNEVEN
    misfortunes = (
        max(0.0, worst - binding.seconds),
        max(one.longest_s for one in expected) - a_call,
        max(_retries(one) for one in expected),
        max(_learning(one, setting) for one in expected),
        START_S + tasks * INTAKE_S,
    )
    high = binding.seconds + a_call + math.hypot(*misfortunes)
    return Range(low, max(low, high)), _name(binding, a_call)


def _retries(one: Expectation) -> float:
    """Seconds that the unluckiest task of all may lose: so many tries that one in ``tasks`` needs them, and the waits
    between them."""
    if one.failed <= 0:
        return 0.0
    tries = math.ceil(math.log(one.tasks + 1) / -math.log(min(0.9, one.failed)))
    waits = sum(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0**n) * JITTER for n in range(min(tries, 10)))
    return waits + tries * one.call_s.middle


def _learning(one: Expectation, setting: Setting) -> float:
    """Seconds lost at the start, where a limit counts what is written and more was reserved for it."""
    for account in setting.models[one.way.model].accounts:
        limits = account.limits
        if account.charges_max_tokens or (limits.output_tokens_per_minute or limits.tokens_per_minute) is None:
            continue
        unused = 1 - one.output_tokens.middle / max(1.0, one.reserved_tokens)
        return LEARNING_CALLS * one.call_s.middle * max(0.0, unused)
    return 0.0


def _name(binding: Needed, a_call: float) -> str | None:
    """A limit that asks for less time than a call takes anyway binds nothing."""
    return binding.by if binding.by and binding.seconds > a_call else None


def _load(one: Expectation, setting: Setting, take: Callable[[Range], float]) -> Load:
    calls = take(one.calls)
    return Load(
        lane=one.way.lane,
        urgency=one.way.urgency,
        accounts=tuple(sorted({account.name for account in setting.models[one.way.model].accounts})),
        calls=calls,
        input_tokens=take(one.input_tokens),
        output_tokens=take(one.output_tokens),
        charged_tokens=take(one.charged_tokens),
        busy=calls * take(one.call_s),
    )


def _place(expected: Sequence[Expectation], setting: Setting, history: History, pace: str) -> Place:
    pools = {}
    for one in expected:
        for account in setting.models[one.way.model].accounts:
            if account.name not in pools:
                pools[account.name] = _pool(account, expected, setting, history, pace)
    calls_per_s = {"fast": CALLS_A_SECOND.high, "slow": CALLS_A_SECOND.low}.get(pace, CALLS_A_SECOND.middle)
    return Place(pools, setting.lanes, setting.slots, calls_per_s)


def _pool(account: Account, expected: Sequence[Expectation], setting: Setting, history: History, pace: str) -> Pool:
    at_once = BURST_S if setting.local(account) else AT_ONCE_S.get(account.provider, FULL_MINUTE_S)
    rates = rates_of(
        account.limits,
        {"fast": max(BURST_S, at_once), "slow": 0.0}.get(pace, BURST_S),
        setting.left_today.get(account.name),
    )
    if account.limits.concurrency is not None:
        slots = Slots(account.limits.concurrency, account.limits.concurrency)
    elif rates:
        slots = Slots(MAXIMUM, MAXIMUM)
    else:
        slots = _found_slots(account, expected, setting, history, pace)
    return Pool(account.name, rates, slots, account.charges_max_tokens)


def _found_slots(
    account: Account, expected: Sequence[Expectation], setting: Setting, history: History, pace: str
) -> Slots:
    """A concurrency that nobody has stated. At worst it stays where it starts, or comes to where it once came."""
    call_s = [one.call_s for one in expected if account in setting.models[one.way.model].accounts]
    seen = float(history.at_once.get(account.name, 0))
    match pace:
        case "fast":
            return unknown_slots(QUICKEST * min(one.low for one in call_s), start=max(float(FIRST_CALLS), seen))
        case "slow":
            return unknown_slots(3 * max(one.high for one in call_s), max(float(FIRST_CALLS), seen))
        case _:
            return unknown_slots(max(one.middle for one in call_s), max(float(2 * FIRST_CALLS), seen))
