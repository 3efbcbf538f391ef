"""LiteLLM's Router with one deployment for each model and account, as its documentation shows it: ``rpm``, ``tpm`` and
``max_parallel_requests`` of each deployment, three retries, the default routing (``simple-shuffle``)."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import litellm  # type: ignore[import-not-found]
from litellm import Router

RETRIES = 3


def deployment(model: str, account: dict[str, Any]) -> dict[str, Any]:
    params = {"model": f"openai/{model}", "api_base": account["url"], "api_key": "sk-peer"}
    params["max_parallel_requests"] = account["in_flight"]
    for name, limit in (("rpm", account["requests_per_minute"]), ("tpm", account["tokens_per_minute"])):
        if limit:
            params[name] = round(limit)
    return {"model_name": model, "litellm_params": params}


async def main(job: dict[str, Any]) -> dict[str, Any]:
    litellm.suppress_debug_info = True
    served = {(task["body"]["model"], account) for task in job["tasks"] for account in task["accounts"]}
    models = [deployment(model, job["accounts"][account]) for model, account in sorted(served)]
    router = Router(model_list=models, num_retries=RETRIES)
    failed = 0

    async def ask(body: dict[str, Any]) -> None:
        nonlocal failed
        try:
            await router.acompletion(**body)
        except Exception:  # noqa: BLE001 - whatever it raises, the request has failed
            failed += 1

    began = time.perf_counter()
    await asyncio.gather(*(ask(task["body"]) for task in job["tasks"]))
    seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 3), "succeeded": len(job["tasks"]) - failed, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
