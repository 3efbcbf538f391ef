"""Other tools for durable flows on the documents of ``benchmarks.documents``, each run in the peers' environment as
``python -m benchmarks.peers.flows NAME JOB``. One that was killed is started again with the same job and goes on."""

from __future__ import annotations

from collections.abc import Mapping

FLOWS: Mapping[str, str] = {
    "langgraph": "LangGraph: a graph with its SQLite checkpointer, calls by ChatOpenAI with LangChain's rate limiter",
    "dbos": "DBOS on SQLite: a queue of workflows with its limiter, a step for each call by the openai SDK",
}
PACKAGES = ("langgraph", "langgraph-checkpoint-sqlite", "langchain-openai", "dbos", "openai")
