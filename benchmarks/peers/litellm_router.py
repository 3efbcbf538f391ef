"""LiteLLM's Router with one deployment for each model and account, as its documentation shows it: ``rpm``, ``tpm``, and
``max_parallel_requests`` where the concurrency is known; three retries, the default routing (``simple-shuffle``).

What the Router cannot place it refuses at once instead of queueing it, so a semaphore around it holds the calls to as
many as the limits keep busy on average (as in ``gather_tuned``).
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # its prices come with it; nothing is fetched

import litellm
from litellm import Router

RETRIES = 3


def deployment(model: str, account: dict[str, Any]) -> dict[str, Any]:
    params = {"model": f"openai/{model}", "api_base": account["url"], "api_key": "sk-peer"}
    limits = (
        ("rpm", account["requests_per_minute"]),
        ("tpm", account["tokens_per_minute"]),
        ("max_parallel_requests", account["concurrency"]),
    )
    return {"model_name": model, "litellm_params": {**params, **{name: round(most) for name, most in limits if most}}}


async def main(job: dict[str, Any]) -> dict[str, Any]:
    litellm.suppress_debug_info = True
    served = {(task["body"]["model"], account) for task in job["tasks"] for account in task["accounts"]}
    models = [deployment(model, job["accounts"][account]) for model, account in sorted(served)]
    router = Router(model_list=models, num_retries=RETRIES)
    gate = asyncio.Semaphore(sum(account["in_flight"] for account in job["accounts"].values()))
    failed = 0

    async def ask(body: dict[str, Any]) -> None:
        nonlocal failed
        async with gate:
            try:
                await router.acompletion(**body)
            except Exception:  # noqa: BLE001 - whatever it raises, the request has failed
                failed += 1

    began = time.perf_counter()
    await asyncio.gather(*(ask(task["body"]) for task in job["tasks"]))
    seconds = time.perf_counter() - began
    cpu_s = round(time.process_time(), 2)
    return {"seconds": round(seconds, 3), "succeeded": len(job["tasks"]) - failed, "failed": failed, "cpu_s": cpu_s}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
