"""2,000 tasks of a JSON Schema, 30 % of the answers broken: how many end valid within 4 attempts, and what it cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.common import laneway, workplace
from laneway.simulator.process import SimulatorProcess

TASKS, MALFORMED, ATTEMPTS = 2000, 0.3, 4
FOUND = MALFORMED / 4  # broken in a way that only wraps the answer: a list around the object
CONFIG = f"""
[accounts.main]
provider = "openai"
concurrency = 50
[models.small]
account = "main"
id = "gpt-4o-mini"
input_price = 0.15
output_price = 0.60
[types.legal]
prompt = "prompt.j2"
output = "schema.json"
max_attempts = {ATTEMPTS}
[defaults]
model = "small"
"""
SCHEMA = {
    "type": "object",
    "properties": {
        "risk": {"enum": ["low", "medium", "high"]},
        "summary": {"type": "string"},
        "issues": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["risk", "summary", "issues"],
    "additionalProperties": False,
}


def run(repeat: int) -> dict[str, Any]:
    runs = [_once(seed) for seed in range(1, repeat + 1)]
    return {
        "valid": round(sum(one["valid"] for one in runs) / len(runs), 5),
        "valid_least": min(one["valid"] for one in runs),
        "wanted": 0.995,
        "expected": round(1 - (MALFORMED - FOUND) ** ATTEMPTS, 5),
        "blind_retries_alone": round(1 - MALFORMED**ATTEMPTS, 5),
        "calls_each": runs[0]["calls"] / TASKS,
        "unusable": runs[0]["unusable"],
        "cost_usd": runs[0]["cost_usd"],
        "books_agree": all(one["books_agree"] for one in runs),
        "runs": runs,
    }


def _once(seed: int) -> dict[str, Any]:
    with workplace() as folder, SimulatorProcess(latency=0.02, malformed_rate=MALFORMED, seed=seed) as simulator:
        (folder / "laneway.toml").write_text(CONFIG)
        (folder / "prompt.j2").write_text("Review this contract: {{ text }}")
        (folder / "schema.json").write_text(json.dumps(SCHEMA))
        rows = ({"id": i, "text": f"contract number {i}, seed {seed}"} for i in range(TASKS))
        (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        said = laneway(folder, simulator.url, "run", "tasks.jsonl", "--type", "legal", allowed=(0, 1))
        if "calls" not in said:
            raise RuntimeError(said)
        books = simulator.stats()["by_model"]["gpt-4o-mini"]
        return {
            "seed": seed,
            "valid": _valid(folder / "tasks.results.jsonl") / TASKS,
            "calls": said["calls"],
            "most_attempts": ATTEMPTS,
            "unusable": said["unusable"],
            "cost_usd": said["cost_usd"],
            "cost_by_outcome": said["cost_by_outcome"],
            "books_agree": [said["calls"], said["tokens"]["input"], said["tokens"]["output"]]
            == [books["completed"], books["input_tokens"], books["output_tokens"]],
        }


def _valid(results: Path) -> int:
    """Counted by an independent validator over the results file itself."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(SCHEMA)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    return sum(row["status"] == "succeeded" and validator.is_valid(row["output"]) for row in rows)
