"""Tasks and flows as tools of agents."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_ai import ModelRetry, Tool

from laneway.errors import TaskFailed

RETRY = ModelRetry.__name__  # the code of a task's failure that is meant for the model


def tool(function: Callable[..., Any], begin: Callable[..., Awaitable[Any]], name: str, **options: Any) -> Tool[Any]:
    """A tool that ``begin``s a child with what the model gave. To pydantic-ai it is ``function``: its signature and its
    docstring are what the model is told. A task that raised ModelRetry has its words shown to the model."""

    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return await begin(*args, **kwargs)
        except TaskFailed as error:
            if error.failure is not None and error.failure.code == RETRY:
                raise ModelRetry(error.failure.message) from error
            raise

    return Tool(call, takes_ctx=False, name=name, **options)
