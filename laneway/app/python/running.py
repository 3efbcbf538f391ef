"""Carrying out claimed Python tasks: async functions on the loop, sync ones in threads."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import logging
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from laneway.app.python.tasks import CURRENT, Context, PythonTasks, to_json
from laneway.dispatch.desk import Admission
from laneway.dispatch.retry import code_failure
from laneway.dispatch.time_limit import left_s, out_of_time
from laneway.errors import NotFoundError, ProviderError
from laneway.providers.model import Reply
from laneway.task import Claimed, Failure, FailureClass, Usage

if TYPE_CHECKING:
    from laneway.app.python.inner_calls import InnerCalls

THREADS = 32
FlowStep = Callable[[Claimed, Any], Awaitable[Reply]]

log = logging.getLogger(__name__)


class PythonCalls:
    """Executes tasks whose body is a call of a registered function, while a worker runs."""

    def __init__(
        self,
        tasks: PythonTasks,
        clean: Callable[[str], str],
        flows: Callable[[], FlowStep],
        inner: InnerCalls,
    ) -> None:
        """``clean`` takes keys out of what functions say when they fail. ``flows``: what carries out steps of flows.
        ``inner``: what makes the calls that functions ask for."""
        self._inner = inner
        self._flows = flows
        self._tasks = tasks
        self._clean = clean
        self._threads: ThreadPoolExecutor | None = None

    async def __call__(self, task: Claimed, admission: Admission | None) -> Reply:
        started = time.perf_counter()
        token = CURRENT.set(Context(task, self._inner))
        try:
            function = self._tasks.find(task.spec.type)
            if function.is_flow:
                return await self._flows()(task, function)
            call = function.bind(task.body)
            left = left_s(task, task.claimed_at)
            if left <= 0:
                return self._cleaned(out_of_time(task, task.claimed_at, called=False))
            timeout = min(task.spec.timeout or math.inf, left)
            work = call() if function.is_async else self._in_thread(call)
            if timeout == math.inf:
                value = await work
            else:
                async with asyncio.timeout(timeout) as scope:
                    value = await work
            output = b"null" if value is None else to_json(value, function.name)
            return Reply(output, None, None, time.perf_counter() - started)
        except NotFoundError as error:
            return self._failed(FailureClass.REQUEST, "unknown_task", f"{error.message}; {error.hint}", started)
        except TimeoutError:
            if timeout == left < math.inf and scope.expired():
                return self._cleaned(out_of_time(task, task.claimed_at + time.perf_counter() - started, called=True))
            return self._failed(FailureClass.CODE, "timeout", "the task did not end within its timeout", started)
        except ProviderError as error:
            cls = FailureClass.REQUEST if error.failure is None else error.failure.cls
            return self._failed(cls, "call_failed", error.message, started)
        except Exception as error:
            log.info("task %d (%s) raised", task.id, task.spec.type, exc_info=True)
            return self._cleaned(code_failure(error))
        finally:
            CURRENT.reset(token)

    def _failed(self, cls: FailureClass, code: str, message: str, started: float) -> Reply:
        failure = Failure(cls, code, message[:2000])
        return self._cleaned(Reply(None, Usage(), failure, time.perf_counter() - started))

    def _cleaned(self, reply: Reply) -> Reply:
        assert reply.failure is not None, "of those that failed"
        failure = dataclasses.replace(reply.failure, message=self._clean(reply.failure.message))
        return dataclasses.replace(reply, failure=failure)

    async def _in_thread(self, call: Callable[[], Any]) -> Any:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="laneway-task")
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, call)

    def close(self) -> None:
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None
