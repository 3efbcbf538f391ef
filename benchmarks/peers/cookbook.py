"""A script of the kind that the OpenAI cookbook publishes as ``api_request_parallel_processor``; written anew.

Its published algorithm: a bucket of requests and one of tokens, each holding a whole minute's worth and full at the
start; a request goes when both cover it, its tokens being an estimate of the prompt plus ``max_tokens``; the loop turns
every millisecond; a request has five attempts, failed ones are queued again; for 15 seconds after a rate-limit error
nothing is sent. The prompt is estimated as the simulator counts it, which is better than a tokenizer would do here.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from typing import Any

import aiohttp

ATTEMPTS = 5
COOL_DOWN_S = 15.0
LOOP_S = 0.001
UNLIMITED = 1e12


class Account:
    """One account's queue, buckets and cool-down."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.url = settings["url"] + "/chat/completions"
        self.per_minute = settings["requests_per_minute"] or UNLIMITED
        self.tokens_per_minute = settings["tokens_per_minute"] or UNLIMITED
        self.requests, self.tokens = self.per_minute, self.tokens_per_minute
        self.queue: deque[tuple[dict[str, Any], int]] = deque()  # body, attempts left
        self.open = 0
        self.failed = 0
        self.refused_at = -COOL_DOWN_S

    async def work(self, session: aiohttp.ClientSession) -> None:
        updated, calls = time.monotonic(), set()
        while self.queue or self.open:
            now = time.monotonic()
            self.requests = min(self.per_minute, self.requests + self.per_minute * (now - updated) / 60)
            self.tokens = min(self.tokens_per_minute, self.tokens + self.tokens_per_minute * (now - updated) / 60)
            updated = now
            if self.queue and now - self.refused_at >= COOL_DOWN_S:
                body, left = self.queue[0]
                needed = tokens_of(body)
                if self.requests >= 1 and self.tokens >= needed:
                    self.queue.popleft()
                    self.requests -= 1
                    self.tokens -= needed
                    self.open += 1
                    call = asyncio.create_task(self.ask(session, body, left - 1))
                    calls.add(call)
                    call.add_done_callback(calls.discard)
            await asyncio.sleep(LOOP_S)

    async def ask(self, session: aiohttp.ClientSession, body: dict[str, Any], left: int) -> None:
        try:
            async with session.post(self.url, json=body) as response:
                answer = await response.json()
            if "error" not in answer:
                return
            if response.status == 429:
                self.refused_at = time.monotonic()
        except aiohttp.ClientError:
            pass
        finally:
            self.open -= 1
        if left:
            self.queue.append((body, left))
        else:
            self.failed += 1


def tokens_of(body: dict[str, Any]) -> int:
    prompt = sum(len(message["content"]) for message in body["messages"])
    most: int = body["max_tokens"]
    return prompt // 4 + 3 + most


async def main(job: dict[str, Any]) -> dict[str, Any]:
    accounts = {name: Account(settings) for name, settings in job["accounts"].items()}
    for i, task in enumerate(job["tasks"]):
        accounts[task["accounts"][i % len(task["accounts"])]].queue.append((task["body"], ATTEMPTS))
    began = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(account.work(session) for account in accounts.values()))
    failed = sum(account.failed for account in accounts.values())
    seconds = round(time.perf_counter() - began, 3)
    cpu_s = round(time.process_time(), 2)
    return {"seconds": seconds, "succeeded": len(job["tasks"]) - failed, "failed": failed, "cpu_s": cpu_s}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
