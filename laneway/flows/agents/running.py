"""An agent's run inside a flow: on the flow's own loop, without threads, each of its requests a child."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pydantic_ai import Agent
from pydantic_ai._utils import disable_threads  # as pydantic-ai's own durable integrations have it; none is public
from pydantic_ai.agent import AgentRunResult, WrapperAgent
from pydantic_ai.agent.abstract import AbstractAgent
from pydantic_ai.durable_exec import replay_scope
from pydantic_ai.messages import UserContent
from pydantic_ai.models import Model
from pydantic_ai.toolsets import AbstractToolset

from laneway.errors import UsageError
from laneway.flows.agents.model import LanewayModel
from laneway.flows.current import current

AnyAgent = AbstractAgent[Any, Any]
NEEDS_NETWORK = ("pydantic_ai.mcp", "pydantic_ai.durable_exec")  # modules of toolsets and models that a flow cannot use


async def run(agent: AnyAgent, prompt: str | Sequence[UserContent] | None, model: Model[Any], **options: Any) -> Any:
    """As ``agent.run`` would, with ``model``, inside the flow whose code is running. Raises UsageError outside one."""
    live = current("an agent of Laneway's")
    with inline(lambda: live.replaying), live.loop.own_names():
        result: AgentRunResult[Any] = await agent.run(prompt, model=model, infer_name=False, **options)
    return result


@contextmanager
def inline(replaying: Callable[[], bool]) -> Iterator[None]:
    """What pydantic-ai would do in threads it does at once, what it would take in any order it takes in one, and what
    only happens again leaves no trace in telemetry."""
    with (
        disable_threads(),
        Agent.parallel_tool_call_execution_mode("parallel_ordered_events"),
        replay_scope(is_replaying=replaying),
    ):
        yield


def model_of(agent: AnyAgent, asked: str | Model[Any] | None, make: Callable[[str], LanewayModel]) -> Model[Any]:
    """Which model an agent's run is to ask: the one given, else the agent's own where that is Laneway's, else ``auto``.
    Raises UsageError for one that would go past Laneway."""
    if isinstance(asked, str):
        return make(asked)
    if asked is None:
        inner = agent
        while isinstance(inner, WrapperAgent):
            inner = inner.wrapped
        own = inner.model
        asked = own if isinstance(own, Model) and not _foreign(own) else make("auto")
    if _foreign(asked):
        raise UsageError(
            f"the model {asked.model_name!r} would be called past Laneway: without limits, and again after a crash",
            hint='give the name of one in laneway.toml: model="strong"',
        )
    return asked


def _foreign(model: Model[Any]) -> bool:
    """Whether requests would leave by another way: of models that wrap others, by any of them."""
    wrapped = [*getattr(model, "models", ()), *filter(None, [getattr(model, "wrapped", None)])]
    if wrapped:
        return any(_foreign(one) for one in wrapped if isinstance(one, Model))
    return not isinstance(model, LanewayModel)


def refuse_network(agent: AnyAgent, name: str) -> None:
    """Raises UsageError for tools that have to be fetched or called over the network by the agent itself."""

    def look(toolset: AbstractToolset[Any]) -> None:
        kind = type(toolset)
        if kind.__module__.startswith(NEEDS_NETWORK):
            raise UsageError(
                f"the agent {name!r} has tools of a server ({kind.__name__}), which a flow cannot reach",
                hint="call the server in a function decorated with @lw.task, and give the agent lw.tool(function)",
            )

    for toolset in agent.toolsets:
        toolset.apply(look)
