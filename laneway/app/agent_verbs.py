"""The part of the Python API that is about agents. pydantic-ai (``laneway[agents]``) is imported with the first one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from laneway.errors import UsageError

if TYPE_CHECKING:
    from pydantic_ai import Tool
    from pydantic_ai.agent import AgentRunResult
    from pydantic_ai.agent.abstract import AbstractAgent
    from pydantic_ai.messages import UserContent
    from pydantic_ai.models import Model
    from pydantic_ai.profiles import ModelProfileSpec
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.usage import UsageLimits

    from laneway.app.laneway import Laneway
    from laneway.app.python.tasks import TaskFunction


class AgentVerbs:
    """Of ``Laneway``."""

    def agent(
        self,
        agent: AbstractAgent[Any, Any],
        name: str | None = None,
        *,
        model: str | Model[Any] | None = None,
        usage_limits: UsageLimits | None = None,
        lane: str | None = None,
        urgency: str | None = None,
        time_limit: float | str | None = None,
        dedupe_for: float | str | None = None,
        **options: Any,
    ) -> TaskFunction[..., Any]:
        """Make a pydantic-ai agent a flow: submit it with its prompt, or call it in another flow. Each of its requests
        is a task of its own, by the limits of ``model`` (default: the agent's own ``lw.model(…)``, else ``"auto"``);
        one that was answered is never paid again. It takes ``prompt`` and, where the agent has ``deps_type``,
        ``deps``, and returns the agent's output. ``usage_limits``: pydantic-ai's, for one run; ``options``: others of
        ``agent.run``; the rest as for ``lw.flow``. Raises UsageError."""
        given = {**options, "usage_limits": usage_limits} if usage_limits is not None else options
        registering = {"lane": lane, "urgency": urgency, "time_limit": time_limit, "dedupe_for": dedupe_for}
        return cast("TaskFunction[..., Any]", _agents().agent_flow(self._lw, agent, name, model, given, registering))

    async def run_agent(
        self,
        agent: AbstractAgent[Any, Any],
        prompt: str | Sequence[UserContent] | None = None,
        *,
        model: str | Model[Any] | None = None,
        **options: Any,
    ) -> AgentRunResult[Any]:
        """Run a pydantic-ai agent inside the flow that calls this, its requests being the flow's own children. What
        ``agent.run`` returns, with ``.output`` and ``.usage``; ``options`` are those of ``agent.run``. Hand one
        ``usage=RunUsage()`` and ``usage_limits`` to all agents of a flow, and the limits hold for them together."""
        return cast("AgentRunResult[Any]", await _agents().run(self._lw, agent, prompt, model, options))

    def model(
        self, name: str = "auto", *, settings: ModelSettings | None = None, profile: ModelProfileSpec | None = None
    ) -> Model[Any]:
        """A model for a pydantic-ai agent: one of ``laneway.toml`` by its name, or ``"auto"``. It can be asked inside
        flows only. ``profile``: pydantic-ai's, where the model can less or more than most."""
        return cast("Model[Any]", _agents().model(self._lw, name, settings, profile))

    def tool(
        self,
        task: TaskFunction[..., Any],
        *,
        name: str | None = None,
        lane: str | None = None,
        urgency: str | None = None,
        **options: Any,
    ) -> Tool[Any]:
        """A task or flow as a tool of an agent: called by the model, it runs as a task of its own, wherever there is a
        worker, and what it returned is kept. Its signature and docstring are what the model is told. It may raise
        pydantic-ai's ModelRetry, whose words the model is shown. ``options``: those of pydantic-ai's ``Tool``."""
        return cast("Tool[Any]", _agents().tool(task, name, options, {"lane": lane, "urgency": urgency}))

    @property
    def _lw(self) -> Laneway:
        return cast("Laneway", self)


def _agents() -> Any:
    try:
        from laneway.app.flows import agents
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("pydantic_ai"):
            raise
        raise UsageError("agents need pydantic-ai", hint="pip install 'laneway[agents]'") from None
    return agents
