"""What each way's tasks will take: calls, tokens, seconds a call, money. From history where there is one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from laneway.planning.demand import Amount, Way
from laneway.planning.history import History, Past
from laneway.planning.ranges import Range
from laneway.providers.model import Model

# Without history. Tokens: four characters each is right for English prose; code and JSON take more, long words fewer,
# and providers differ in what they count for framing.
INPUT_RATIO = Range(0.8, 1.3)
FRAMING = Range(-5.0, 10.0)  # tokens a request, beside what intake counts
# Answers, in tokens, on average. A bound is often generous: short answers stay far below it, and few tasks fill a large
# one.
UNBOUNDED_ANSWER = Range(10.0, 600.0)
SHORTEST_SHARE, SHORTEST_MOST = 0.1, 40.0  # of the bound, and no more than this
LONGEST_LEAST, LONGEST_SHARE = 800.0, 0.5  # at most this, or this share of a large bound
# Seconds a call: until the first token, then tokens a second, as hosted chat models have them (models that think first
# take longer). A server on this machine may be a practice provider, and a good deal faster.
FIRST_TOKEN_S = Range(0.25, 2.0)
TOKENS_A_SECOND = Range(50.0, 400.0)
LOCAL_LEAST_S = 0.05
LONGEST_MEAN_S = 8.0
LONGEST_CALL = 1.25  # times the mean at worst: the last calls of a run are seldom the longest
FAILED = 0.02  # share of calls that fail in passing
RETRIED = 0.05  # share of calls made twice
RETRIED_ANSWER = 0.15  # … where the answer is checked
CACHED_AT_BEST = 0.9  # share of a long request's input that a provider may have in its cache
OTHER_TYPE = Range(0.4, 2.5)  # how another type's mean call compares


@dataclass(frozen=True, slots=True)
class Expectation:
    """Of all tasks of one way together, but ``call_s`` (the mean call) and ``longest_s``. Costs in USD, None: a price
    is unknown."""

    way: Way
    tasks: int
    calls: Range
    input_tokens: Range
    output_tokens: Range
    charged_tokens: Range  # output as an account reckons that charges what was allowed
    reserved_tokens: float  # output that is set aside before anything has been learnt
    call_s: Range
    longest_s: float
    long_tokens: float  # input of the requests that a prompt cache may take, as estimated
    cost: Range | None
    failed: float  # share of calls that bring no usable answer
    past: Past | None  # of this very type
    other_types: bool  # ``call_s`` is judged by the model's other types


def expect(way: Way, amount: Amount, model: Model, history: History, *, local: bool) -> Expectation:
    past, cousin = history.of(way.model, way.type), history.of(way.model, None)
    nearest = past or cousin
    calls = _calls(way, amount, nearest)
    a_call = 1 / amount.tasks
    tokens_in = _input(amount, past)
    tokens_out = _output(way, amount, model, past)
    if past is not None:
        call_s, longest = past.seconds.mean_of(amount.tasks), past.seconds.longest_of(amount.tasks)
    else:
        call_s = _seconds(tokens_out * a_call, local)
        if cousin is not None:
            call_s = cousin.seconds.mean_of(amount.tasks).times(OTHER_TYPE)
        longest = call_s.high * LONGEST_CALL
    per_task = calls * a_call
    allowed = float(amount.output_tokens)
    # what is reserved for an unbounded answer comes back only where headers show a bucket deeper than ours
    charged = Range(allowed if way.bounded or local else min(tokens_out.low, allowed), max(allowed, tokens_out.high))
    return Expectation(
        way=way,
        tasks=amount.tasks,
        calls=calls,
        input_tokens=tokens_in.times(per_task),
        output_tokens=tokens_out.times(per_task),
        charged_tokens=charged.times(per_task),
        reserved_tokens=allowed,
        call_s=call_s,
        longest_s=longest,
        long_tokens=amount.long_tokens,
        cost=cost_of(model, tokens_in.times(per_task), tokens_out.times(per_task), amount.long_tokens, past),
        failed=nearest.failed if nearest else FAILED,
        past=past,
        other_types=past is None and cousin is not None,
    )


def cost_of(
    model: Model, tokens_in: Range, tokens_out: Range, long_tokens: float, past: Past | None = None
) -> Range | None:
    """USD, None where a price is unknown. At best most of the ``long_tokens`` come from the provider's cache."""
    if model.input_price is None or (model.output_price is None and tokens_out.high > 0):
        return None
    fresh, out = model.input_price, model.output_price or 0.0
    saved = fresh - (fresh if model.cached_price is None else model.cached_price)  # per million cached tokens
    if past is not None:
        least, most = past.cached * 0.8 * tokens_in.high, min(1.0, past.cached * 1.2) * tokens_in.low
    else:
        least, most = 0.0, min(tokens_in.low, long_tokens * INPUT_RATIO.low) * CACHED_AT_BEST
    input_cost = Range(tokens_in.low * fresh - most * saved, tokens_in.high * fresh - least * saved)
    return (input_cost + tokens_out * out) * 1e-6


def _calls(way: Way, amount: Amount, past: Past | None) -> Range:
    if past is None:
        return Range(1.0, 1.0 + (RETRIED_ANSWER if way.structured else RETRIED)) * amount.tasks
    # of n calls f failed: each task takes 1 / (1 - f); the error of f shrinks with the calls seen
    error = 2 * (max(past.failed, 1 / past.calls) / past.calls) ** 0.5
    worst = min(0.9, past.failed * 1.2 + error)
    return Range(1.0, 1 / (1 - worst)) * amount.tasks


def _input(amount: Amount, past: Past | None) -> Range:
    counted = float(amount.input_tokens)
    if past is not None:
        return past.input_ratio.mean_of(amount.tasks) * counted
    least = max(float(amount.tasks), counted + FRAMING.low * amount.tasks) * INPUT_RATIO.low
    return Range(least, (counted + FRAMING.high * amount.tasks + amount.schema_tokens) * INPUT_RATIO.high)


def _output(way: Way, amount: Amount, model: Model, past: Past | None) -> Range:
    """All answers together. A request's own bound cannot be passed."""
    bound = amount.output_tokens / amount.tasks if way.bounded else _model_bound(model)
    most = math.inf if bound is None else bound * amount.tasks
    if past is not None:
        return (past.output_tokens.mean_of(amount.tasks) * amount.tasks).within(0.0, most)
    if bound is None:
        return UNBOUNDED_ANSWER * amount.tasks
    shortest = max(UNBOUNDED_ANSWER.low, min(SHORTEST_SHARE * bound, SHORTEST_MOST))
    longest = max(LONGEST_LEAST, LONGEST_SHARE * bound)
    return (Range(shortest, longest) * amount.tasks).within(0.0, most)


def _model_bound(model: Model) -> float | None:
    """What the model's own parameters say."""
    for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"):
        value = model.params.get(name)
        if isinstance(value, int) and value > 0:
            return float(value)
    return None


def _seconds(answer: Range, local: bool) -> Range:
    fastest = LOCAL_LEAST_S if local else FIRST_TOKEN_S.low + answer.low / TOKENS_A_SECOND.high
    slowest = FIRST_TOKEN_S.high + answer.high / TOKENS_A_SECOND.low
    return Range(fastest, max(fastest, min(LONGEST_MEAN_S, slowest)))
