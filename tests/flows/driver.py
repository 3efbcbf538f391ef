"""A store and workers for one flow, without either: what it begins ends in an order drawn from a seed, and it may crash
between any two steps, or in the middle of one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import orjson

from laneway.flows.live import Live, Options
from laneway.store.flows import Event, Heard, History, Step, Suspension
from laneway.task import NewTask, Route, Spec, State, Urgency, Wire

Function = Callable[[], Coroutine[Any, Any, Any]]
ROUTE = Route("general", Urgency.STANDARD, "")
START = 1_700_000_000.0


def prepare(
    live: Live, task: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: Options
) -> tuple[NewTask, Callable[[bytes], Any]]:
    """``task``: what a task function became."""
    spec = Spec(task.name, Wire.PYTHON)
    return NewTask(orjson.dumps(args), spec, ROUTE, START, tags=options.tags), orjson.loads


class Driver:
    def __init__(self, function: Function, answer: Callable[[str, list[Any]], Any], seed: int = 0) -> None:
        """``answer``: of a child, by its type and arguments; raises for one that fails."""
        self.function = function
        self.answer = answer
        self.rng = random.Random(seed)
        self.now = START
        self.history = History()
        self.live: Live | None = None
        self.begun: Counter[str] = Counter()  # by name: how often it was begun
        self.order: list[str] = []  # in which children ended
        self.replays = 0
        self._bodies: dict[str, tuple[str, bytes]] = {}
        self._last: Suspension | None = None

    # one step at a time ---------------------------------------------------------------------------------------------
    def step(self, *, lost: bool = False) -> bool:
        """Carry out the next step. ``lost``: the worker dies before it is settled. True: the flow has ended."""
        live = self.live or self._fresh()
        self.live = None
        left = live.left()
        if lost:
            return False
        self._settle(live, left)
        self.live = live
        return left.ended

    def _fresh(self) -> Live:
        live = Live(1, prepare, self.history)
        if not self.history.steps:
            live.start(self.function, self.now, self.history.events)
        else:
            self.replays += 1
            live.replay(self.history, self.function)
            ended = [child for child in self.history.children.values() if child.state.ended]
            live.go_on(self.now, ended, live.loop.due(self.now), self.history.events[live.events :])
        return live

    def go_on(self) -> None:
        """The flow, in memory, hears of what has happened since."""
        if self.live is not None:
            ask = self.live.ask()
            ended = [self.history.children[name] for name in ask.names if self.history.children[name].state.ended]
            self.rng.shuffle(ended)  # a store gives them in whichever order
            self.live.go_on(self.now, ended, self.live.loop.due(self.now), self.history.events[ask.events :])

    def _settle(self, live: Live, left: Suspension) -> None:
        self._last = left
        self.history.steps.append(Step(left.step, left.at, tuple(left.heard), left.events))
        for child in left.begun:
            self.begun[child.name] += 1
            self.history.children[child.name] = Heard(child.name, len(self.begun), State.READY)
            self._bodies[child.name] = (child.task.spec.type, child.task.body)
        for name in left.called_off:
            self._end(name, State.CANCELLED)

    # the world around -----------------------------------------------------------------------------------------------
    def happen(self) -> None:
        """Until the flow is to be woken: some children end, or time passes."""
        left = self._last
        assert left is not None
        while not self._woken(left):
            open_ = [name for name, child in self.history.children.items() if not child.state.ended]
            if left.wake_at is not None and (not open_ or self.rng.random() < 0.2):
                self.now = max(self.now, left.wake_at)
                return
            assert open_, "it waits for something that will not happen"
            for name in self.rng.sample(open_, self.rng.randint(1, min(3, len(open_)))):
                self.end(name)
            self.now += self.rng.random()

    def _woken(self, left: Suspension) -> bool:
        if left.events < len(self.history.events):
            return True
        for group in left.waits_for:
            ended = [state for name in group.names if (state := self.history.children[name].state).ended]
            failed = any(state is not State.SUCCEEDED for state in ended)
            if len(ended) >= group.need or (group.eager and failed):
                return True
        return False

    def end(self, name: str) -> None:
        type_, body = self._bodies[name]
        try:
            output = orjson.dumps(self.answer(type_, orjson.loads(body)))
        except ValueError as error:
            self._end(name, State.FAILED, error={"class": "code", "code": "ValueError", "message": str(error)})
        else:
            self._end(name, State.SUCCEEDED, output=output)

    def _end(self, name: str, state: State, **more: Any) -> None:
        known = self.history.children[name]
        if not known.state.ended:
            self.order.append(name)
            self.history.children[name] = Heard(name, known.task_id, state, **more)

    def send(self, name: str, data: Any) -> None:
        self.history.events.append(Event(name, orjson.dumps(data), self.now))

    # all of it ------------------------------------------------------------------------------------------------------
    def run(self, crashes: float = 0.0) -> Any:
        """To its end; what the function returned. ``crashes``: how probable one is after, or within, each step."""
        while not self.step(lost=self.rng.random() < crashes):
            if self.live is not None and self.rng.random() < crashes:
                self.live = None
            if self._last is not None and self.live is not None:
                self.happen()
                self.go_on()
            elif self._last is not None:
                self.happen()
        assert self.live is not None
        return self.live.value()
