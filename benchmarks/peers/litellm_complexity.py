"""LiteLLM's complexity router with its defaults: the tier and the score that its heuristic gives each prompt."""

from __future__ import annotations

import json
import os
import sys
import time
from types import SimpleNamespace
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # its prices come with it; nothing is fetched

from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter

TIERS = {"SIMPLE": "cheap", "MEDIUM": "strong", "COMPLEX": "strong", "REASONING": "strong"}


def main(job: dict[str, Any]) -> dict[str, Any]:
    owner = SimpleNamespace(model_list=[])
    router = ComplexityRouter("triage", owner, {"tiers": TIERS}, "strong", derive_savings_baseline=False)
    began = time.perf_counter()
    judged = [router.classify(prompt) for prompt in job["prompts"]]
    seconds = time.perf_counter() - began
    return {
        "tiers": [str(getattr(tier, "value", tier)) for tier, _, _ in judged],
        "scores": [score for _, score, _ in judged],
        "seconds": round(seconds, 3),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
