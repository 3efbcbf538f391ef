"""The simulated provider without any input or output: what befalls a request, decided with ``now`` handed in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from laneway.simulator.answers import Said, length_of, malformed, say
from laneway.simulator.books import Books, Ending
from laneway.simulator.faults import Accident, Fate, fate
from laneway.simulator.limits import Charge, KeyLimits, Refusal
from laneway.simulator.models import SimulatedModel
from laneway.simulator.options import Options
from laneway.simulator.wires.base import STATUS, Ask, Made, Mistake, Wire, parse
from laneway.simulator.wires.chat import Chat
from laneway.simulator.wires.embeddings import Embeddings
from laneway.simulator.wires.messages import Messages
from laneway.simulator.wires.responses import Responses

_INJECTED_WAIT_S = 0.2


def wires() -> dict[str, Wire]:
    """The formats by path, without ``/v1``."""
    return {"chat/completions": Chat(), "responses": Responses(), "embeddings": Embeddings(), "messages": Messages()}


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send: ``body``, or the events of a stream. ``cut``: hang up in the middle of it."""

    status: int
    ending: Ending
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    frames: list[bytes] | None = None
    cut: bool = False


@dataclass(slots=True)
class Call:
    """A request that was let in. ``delay``: seconds until its answer is whole."""

    wire: Wire
    ask: Ask
    said: Said
    model: SimulatedModel
    number: int
    key: str
    limits: KeyLimits
    accident: Accident
    delay: float
    stream: bool
    hangs: bool
    cached: int = 0  # of the input tokens, as those written to the cache
    written: int = 0
    left: bool = False


class Provider:
    """``arrive`` decides, ``answer`` says what to send when the delay is over, ``end`` keeps the books."""

    def __init__(self, options: Options, now: float) -> None:
        self.options = options
        self.books = Books(now)
        self._keys: dict[str, KeyLimits] = {}

    def knows(self, key: str) -> bool:
        return not self.options.key or key in self.options.key

    def arrive(self, wire: Wire, key: str, body: bytes | None, now: float, wall: float) -> Call | Reply:
        """Take a request: a call to be answered, or a refusal at once. ``body`` None: it was too large. ``now``: a
        clock that only goes forward; ``wall``: seconds since 1970."""
        options, label = self.options, self._label(key)
        number = self.books.arrived(label, now)
        drawn = fate(options.seed, number)
        if not self.knows(key):
            return self._failed(wire, number, label, None, "unauthorized", "Incorrect API key provided.")
        if body is None:
            return self._failed(wire, number, label, None, "too_large", "The request is too large.")
        ask: Ask | None = None
        try:
            ask = wire.understand(parse(body))
            self.books.asked_for(ask.model)
            model = options.models.find(ask.model)
            if model is None:
                return self._failed(wire, number, label, ask, "no_model", f"The model `{ask.model}` does not exist.")
            said = self._say(wire, ask, model, drawn)
        except ValueError as error:
            return self._failed(wire, number, label, ask, "bad_request", str(error))
        except RecursionError:
            return self._failed(wire, number, label, ask, "bad_request", "The request is nested too deeply.")
        limits = self._keys.setdefault(key, KeyLimits())
        hangs = number == options.hang_nth
        if refused := self._refusal(limits, wire, ask, said, drawn, hangs, now):
            return self._refused(wire, number, label, ask, limits, refused, now, wall)
        self.books.entered()
        if hangs:
            self.books.ended("hung", label, ask.model)
        delay = drawn.latency_s(options.median_s(ask.model, said.tokens), options.spread)
        stream = ask.stream and wire.streams
        accident = drawn.accident(options, stream=stream)
        cached = 0 if ask.inputs else int(ask.input_tokens * options.cached_rate)
        written = 0 if ask.inputs else int((ask.input_tokens - cached) * options.written_rate)
        return Call(wire, ask, said, model, number, label, limits, accident, delay, stream, hangs, cached, written)

    def charged(self, wire: Wire, body: Mapping[str, Any]) -> tuple[Charge, int]:
        """What a request would take from its key's limits, and how many tokens its answer would have; nothing happens.
        Raises ValueError."""
        ask = wire.understand(body)
        model = self.options.models.find(ask.model)
        said = self._say(wire, ask, model or SimulatedModel(), fate(self.options.seed, 0))
        return wire.charge(ask, said.tokens), said.tokens

    def answer(self, call: Call, now: float, wall: float) -> Reply:
        """What to send to a call. Its accident was settled on arrival; the headers say what the buckets hold now."""
        wire = call.wire
        headers = self._headers(wire, call.number, call.limits, now, wall)
        if call.accident == "error":
            body = wire.error("server", "The server had an error while processing your request.")
            return Reply(STATUS["server"], "errors", headers, body)
        made = Made(call.ask, call.said, call.number, int(wall), self.options.seed, call.cached, call.written)
        cut = call.accident == "cut"
        ending: Ending = "cut" if cut else "completed"
        if not call.stream:
            return Reply(200, ending, headers, wire.answer(made), cut=cut)
        frames = wire.frames(made)
        if call.accident == "overload":
            broken = wire.error("overloaded", "Overloaded")
            return Reply(200, "errors", headers, frames=[*frames[:3], wire.error_frame(broken)])
        return Reply(200, ending, headers, frames=frames, cut=cut)

    def end(self, call: Call, ending: Ending, *, listening: bool) -> None:
        """A call is over: free its place and book it. ``listening``: whether its client is still there."""
        if call.left:
            return
        self.leave(call)
        if ending != "completed":
            self.books.ended(ending, call.key, call.ask.model)
            return
        used, said = call.ask.input_tokens, call.said.tokens
        cost = call.model.cost_usd(used, said, call.cached, call.written)
        self.books.answered(call.key, call.ask.model, used, said, cost, call.cached, good=call.said.good)
        self.books.disconnected += not listening

    def leave(self, call: Call) -> None:
        """Free a call's place; again does nothing."""
        if not call.left:
            call.left = True
            call.limits.in_flight -= 1
            self.books.left()

    def reset(self, now: float) -> None:
        """Empty the books and fill the buckets. Numbers, and with them faults, begin again."""
        self.books.reset(now)
        self._keys = {key: limits for key, limits in self._keys.items() if limits.in_flight}
        for limits in self._keys.values():
            limits.refill()

    def _label(self, key: str) -> str:
        """A key's name in the books. One from ``--key`` is in full, being no secret; of any other the end."""
        if key in self.options.key or not key:
            return key or "none"
        return f"…{key[-4:]}"

    def _say(self, wire: Wire, ask: Ask, model: SimulatedModel, drawn: Fate) -> Said:
        if ask.inputs:
            return Said("", 0)
        options = self.options
        length = length_of(options.seed, ask.text, options.output_tokens, options.output_spread)
        quality = model.quality_for(ask.text) if model.kinds else model.quality
        marks = {"marked": model.marked, "alarms": model.alarms}
        said = say(options.seed, ask.text, ask.schema, quality, length, ask.max_tokens, **marks)
        return malformed(said, ask.schema, drawn.way) if drawn.malformed(options) else said

    def _refusal(
        self, limits: KeyLimits, wire: Wire, ask: Ask, said: Said, drawn: Fate, hangs: bool, now: float
    ) -> Refusal | None:
        charge = wire.charge(ask, said.tokens)
        limits.follow(self.options, now)
        if hangs:
            limits.enter(charge)
            return None
        if drawn.refused(self.options):
            return Refusal("injected", _INJECTED_WAIT_S)
        return limits.arrive(self.options, charge, now)

    def _refused(
        self, wire: Wire, number: int, key: str, ask: Ask, limits: KeyLimits, refused: Refusal, now: float, wall: float
    ) -> Reply:
        self.books.ended("rate_limited", key, ask.model)
        self.books.refused_by[refused.kind] += 1
        headers = self._headers(wire, number, limits, now, wall)
        if not self.options.no_headers:
            headers |= wire.wait_headers(refused)
        return Reply(429, "rate_limited", headers, wire.refusal(refused, ask.model))

    def _failed(self, wire: Wire, number: int, key: str, ask: Ask | None, mistake: Mistake, message: str) -> Reply:
        ending: Ending = "unauthorized" if mistake == "unauthorized" else "errors"
        self.books.ended(ending, key, ask.model if ask else None)
        headers = {wire.id_header: f"req_sim{number}"}
        return Reply(STATUS[mistake], ending, headers, wire.error(mistake, message))

    def _headers(self, wire: Wire, number: int, limits: KeyLimits, now: float, wall: float) -> dict[str, str]:
        told = {} if self.options.no_headers else wire.limit_headers(limits, now, wall)
        return told | {wire.id_header: f"req_sim{number}"}
