"""What ``lw.agent``, ``lw.run_agent``, ``lw.model`` and ``lw.tool`` do. Imports pydantic-ai."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic_ai.messages import UserContent
from pydantic_ai.models import Model
from pydantic_ai.profiles import ModelProfileSpec
from pydantic_ai.settings import ModelSettings

from laneway.app.flows.children import ModelCall, WholeAnswer
from laneway.errors import UsageError
from laneway.flows.agents import running
from laneway.flows.agents.model import LanewayModel
from laneway.flows.agents.outputs import result_type
from laneway.flows.agents.tools import tool as made_tool
from laneway.flows.api import task as with_options
from laneway.flows.current import current
from laneway.providers.chat import usage
from laneway.providers.formats import known_as
from laneway.providers.model import Model as PricedModel

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

WHOLE = WholeAnswer()
PRICES = ("input_price", "output_price", "cached_price", "cache_write_price")
Prompt = str | list[UserContent]


def model(
    lw: Laneway, name: str, settings: ModelSettings | None = None, profile: ModelProfileSpec | None = None
) -> LanewayModel:
    def cost(asked: str, answer: Mapping[str, Any]) -> Decimal | None:
        """By the prices that stand in the config: those that are looked up come later, and not in a replay."""
        config, used = lw.config, usage(answer)
        known = known_as(config, asked) or known_as(config, str(answer.get("model")))
        if known is None or used is None:
            return None
        found = config.models[known]
        prices = {field: getattr(found, field) for field in PRICES}
        usd = PricedModel(known, found.id, (), **prices).cost(used)
        return None if usd is None else Decimal(repr(usd))

    return LanewayModel(name, _ask, cost, settings=settings, profile=profile)


def _ask(name: str, body: dict[str, Any]) -> Awaitable[Mapping[str, Any]]:
    messages = body.pop("messages")
    return current("a model of Laneway's").begin(ModelCall(name, messages, WHOLE, body), (), {})


async def run(
    lw: Laneway, agent: running.AnyAgent, prompt: str | Sequence[UserContent] | None, asked: Any, options: Any
) -> Any:
    chosen = running.model_of(agent, asked, lambda name: model(lw, name))
    return await running.run(agent, prompt, chosen, **options)


def agent_flow(
    lw: Laneway,
    agent: running.AnyAgent,
    name: str | None,
    asked: str | Model[Any] | None,
    options: Mapping[str, Any],
    registering: Mapping[str, Any],
) -> Any:
    """The registered flow. Its prompt, its deps and what it returns travel as JSON, typed as the agent says."""
    own = name or agent.name
    if not own:
        raise UsageError("the agent has no name to be registered by", hint='write lw.agent(agent, "research")')
    chosen = running.model_of(agent, asked, lambda known: model(lw, known))
    running.refuse_network(agent, own)

    async def plain(prompt: Prompt) -> Any:
        return (await running.run(agent, prompt, chosen, **options)).output

    async def with_deps(prompt: Prompt, deps: Any) -> Any:
        return (await running.run(agent, prompt, chosen, deps=deps, **options)).output

    has_deps = agent.deps_type not in (object, type(None))
    function: Any = with_deps if has_deps else plain
    function.__annotations__ = {"prompt": Prompt, "return": result_type(agent.output_type)}
    if has_deps:
        function.__annotations__["deps"] = agent.deps_type
    function.__name__ = own
    function.__qualname__ = f"agent {own}"
    function.__doc__ = agent.description
    return lw.flow(name=own, **registering)(function)


def tool(task: Any, name: str | None, options: Mapping[str, Any], placing: Mapping[str, Any]) -> Any:
    function = getattr(task, "function", None)
    if function is None:
        raise UsageError(f"lw.tool was given {task!r}", hint="give it a function decorated with @lw.task or @lw.flow")
    return made_tool(function, with_options(task, **placing), name or task.name, **options)
