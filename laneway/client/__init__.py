"""A client of ``laneway serve`` for other applications. Light to import, and with nothing of the engine in it."""

from laneway.client.async_client import AsyncClient, AsyncJob
from laneway.client.client import Client, ClientJob
from laneway.client.shapes import Event, Mapped, Result, Run, Selected, Task

__all__ = ["AsyncClient", "AsyncJob", "Client", "ClientJob", "Event", "Mapped", "Result", "Run", "Selected", "Task"]
