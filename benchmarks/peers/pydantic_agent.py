"""A pydantic-ai agent without tools, one ``run`` for each request, inside a semaphore: as its documentation shows an
agent on an OpenAI-compatible endpoint (https://ai.pydantic.dev/models/openai/#openai-compatible-models)."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def main(job: dict[str, Any]) -> dict[str, Any]:
    (account,) = job["accounts"].values()
    body = job["tasks"][0]["body"]
    provider = OpenAIProvider(base_url=account["url"], api_key="sk-peer")
    agent = Agent(OpenAIChatModel(body["model"], provider=provider), model_settings={"max_tokens": body["max_tokens"]})
    gate = asyncio.Semaphore(account["in_flight"])
    failed = 0

    async def ask(text: str) -> None:
        nonlocal failed
        async with gate:
            try:
                await agent.run(text)
            except AgentRunError:
                failed += 1

    began = time.perf_counter()
    await asyncio.gather(*(ask(task["body"]["messages"][0]["content"]) for task in job["tasks"]))
    seconds = time.perf_counter() - began
    cpu_s = round(time.process_time(), 2)
    return {"seconds": round(seconds, 3), "succeeded": len(job["tasks"]) - failed, "failed": failed, "cpu_s": cpu_s}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
