"""LangGraph with its SQLite checkpointer: a node for each step, a join over the four branches, a conditional edge, a
thread for each document, resumed as https://docs.langchain.com/oss/python/langgraph/durable-execution has it: invoked
without input on the thread that was broken off. Its defaults: durability ``async``, the nodes' retry policy. One
``InMemoryRateLimiter`` for all models, as https://docs.langchain.com/oss/python/langchain/models has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypedDict

from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from benchmarks.documents import ANALYSES, JOIN, LATENCY_S, MAX_TOKENS, REVIEW, prompt, risky
from benchmarks.peers.flows.job import Job


class State(TypedDict, total=False):
    document: str
    entities: str
    sentiment: str
    compliance: str
    summary: str
    join: str
    review: str


def _builder(job: Job) -> Any:
    rate = None if job.requests_per_minute is None else job.requests_per_minute / 60
    limiter = None if rate is None else InMemoryRateLimiter(requests_per_second=rate, max_bucket_size=rate)
    model = {
        step: ChatOpenAI(model=step, base_url=job.url, api_key="sk-peer", max_tokens=MAX_TOKENS, rate_limiter=limiter)
        for step in LATENCY_S
    }

    def node(step: str, *heard: str) -> Callable[[State], Awaitable[dict[str, Any]]]:
        async def ask(state: State) -> dict[str, Any]:
            fields: dict[str, Any] = {**state}
            answer = await model[step].ainvoke(prompt(step, *(fields[name] for name in heard)))
            return {step: answer.content}

        return ask

    builder = StateGraph(State)
    for step in ANALYSES:
        builder.add_node(step, node(step, "document"), retry_policy=RetryPolicy())
        builder.add_edge(START, step)
    builder.add_node(JOIN, node(JOIN, *ANALYSES), retry_policy=RetryPolicy())
    builder.add_node(REVIEW, node(REVIEW, JOIN), retry_policy=RetryPolicy())
    builder.add_edge(list(ANALYSES), JOIN)
    builder.add_conditional_edges(JOIN, lambda state: REVIEW if risky(state["document"]) else END, [REVIEW, END])
    builder.add_edge(REVIEW, END)
    return builder


def last(document: str) -> str:
    return REVIEW if risky(document) else JOIN


async def answer_all(job: Job, documents: Sequence[str], begin: Callable[[], None]) -> list[str]:
    """``begin`` is called when all is set up."""
    gate = asyncio.Semaphore(job.at_once)
    async with AsyncSqliteSaver.from_conn_string(str(job.folder / "langgraph.db")) as saver:
        graph = _builder(job).compile(checkpointer=saver)
        await saver.setup()
        begin()

        async def one(number: int, document: str) -> str:
            config = {"configurable": {"thread_id": str(number)}}
            async with gate:
                state = (await graph.aget_state(config)).values
                if last(document) not in state:  # its ``next`` is empty, too, when a step was killed before its end
                    state = await graph.ainvoke(None if state else {"document": document}, config)
                return str(state[last(document)])

        return await asyncio.gather(*(one(number, document) for number, document in enumerate(documents)))
