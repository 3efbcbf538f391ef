"""2,000 tasks of four types through the real command and the simulator: the strong model for everything against what
triage learnt from a sample, its own cost included.

A separate sample is run on both models, a table of outcomes is written, `laneway triage train` learns from it, the
config names what it wrote. Costs are the simulator's own; an answer is good if it is the one that the simulator gives
to that request when it answers well, whichever model gave it.
"""

from __future__ import annotations

import csv
import json
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import laneway, workplace
from benchmarks.routing import mix
from laneway.simulator.answers import say
from laneway.simulator.instances import POOR
from laneway.simulator.process import SimulatorProcess

TASKS, SAMPLE = 2000, 300
SEEDS = (1, 2, 3)
OUTPUT_TOKENS = 64
SMALL, STRONG = "small", "strong"
IDS = {SMALL: "gpt-4o-mini", STRONG: "gpt-4o"}
WANTED = {"saved": 0.42, "quality_kept": 0.98, "cheap_share": 0.60}
CONFIG = """
[accounts.main]
provider = "openai"
concurrency = 50
[models.small]
account = "main"
id = "gpt-4o-mini"
input_price = 0.15
output_price = 0.60
[models.strong]
account = "main"
id = "gpt-4o"
input_price = 2.5
output_price = 10.0
[types.ticket]
prompt = "ticket.j2"
output = "ticket.json"
[types.order]
prompt = "order.j2"
output = "order.json"
[types.minutes]
prompt = "minutes.j2"
[types.clause]
prompt = "clause.j2"
[defaults]
model = "strong"
"""
JUDGED = """
[triage]
answers = "triage/answers.npz"
"""
LEARNT = (
    JUDGED
    + """
model = "triage/model.npz"
quality_floor = 0.98
"""
)

Row = dict[str, Any]


def run(data: Path | None = None) -> dict[str, Any]:
    """``data`` is not needed. The medians of several mixes, each with a sample of its own."""
    runs = [_once(seed) for seed in SEEDS]
    medians = {name: statistics.median(one[name] for one in runs) for name in WANTED}
    met = sum(all(one[name] >= WANTED[name] for name in WANTED) for one in runs)
    return {**medians, "wanted": WANTED, "met": f"{met} of {len(runs)}", "tasks": TASKS, "sample": SAMPLE, "runs": runs}


def _once(seed: int) -> dict[str, Any]:
    with workplace() as folder:
        mix.write_types(folder)
        options: dict[str, Any] = {"latency": 0.02, "models": folder / "models.json", "output_tokens": OUTPUT_TOKENS}
        with SimulatorProcess(**options, seed=seed) as simulator:
            return _measured(folder, simulator, seed)


def _measured(folder: Path, simulator: SimulatorProcess, seed: int) -> dict[str, Any]:
    (folder / "laneway.toml").write_text(CONFIG)
    tasks = mix.write(folder, "tasks.jsonl", mix.tasks(TASKS, seed))
    sample = mix.write(folder, "sample.jsonl", mix.tasks(SAMPLE, 1000 + seed))

    outcomes = {model: _run(folder, simulator, "sample.jsonl", f"sample.{model}.jsonl", model) for model in IDS}
    sampled = sum(cost for _, _, cost, _ in outcomes.values())
    _table(folder / "outcomes.csv", sample, {model: rows for model, (_, rows, _, _) in outcomes.items()}, seed)
    trained = laneway(folder, simulator.url, "triage", "train", "outcomes.csv", "-o", "triage/model.npz")
    judged = laneway(folder, simulator.url, "triage", "train", "outcomes.csv", "--answers", "-o", "triage/answers.npz")

    _, strong, strong_cost, strong_books = _run(folder, simulator, "tasks.jsonl", "strong.jsonl", STRONG)
    (folder / "laneway.toml").write_text(CONFIG + LEARNT)
    said, routed, cost, books = _run(folder, simulator, "tasks.jsonl", "routed.jsonl")

    quality = {"strong": _quality(tasks, strong, seed), "routed": _quality(tasks, routed, seed)}
    cheap = sum(row["model"] == SMALL for row in routed.values())
    return {
        "saved": round(1 - (cost + sampled) / strong_cost, 4),
        "quality_kept": round(quality["routed"] / quality["strong"], 4),
        "cheap_share": round(cheap / TASKS, 4),
        "seed": seed,
        "cost_usd": {
            "strong_for_all": round(strong_cost, 6),
            "routed": round(cost, 6),
            "sample": round(sampled, 6),
            "saved_without_the_sample": round(1 - cost / strong_cost, 4),
        },
        "sample_calls": sum(done["calls"] for done, *_ in outcomes.values()),
        "cascade_alone": _cascade_alone(folder, simulator, tasks, seed, strong_cost, sampled, quality["strong"]),
        "quality": {name: round(value, 4) for name, value in quality.items()},
        "books_agree": strong_books[IDS[STRONG]]["good"] == round(quality["strong"] * TASKS),
        "escalated": said["escalated"],
        "cheap_by_type": _by_type(tasks, routed),
        "good_by_model": {name: [own["good"], own["completed"]] for name, own in books.items()},
        "report": said["saving"],
        "trained": {"choice": trained, "answers": judged},
    }


def _cascade_alone(
    folder: Path,
    simulator: SimulatorProcess,
    tasks: Sequence[Mapping[str, str]],
    seed: int,
    strong_cost: float,
    sampled: float,
    strong: float,
) -> dict[str, float]:
    """Without the choice: the small model first, for everything."""
    (folder / "laneway.toml").write_text(
        CONFIG.replace('model = "strong"', 'model = "small"\nfallbacks = ["strong"]') + JUDGED
    )
    said, rows, cost, _ = _run(folder, simulator, "tasks.jsonl", "cascade.jsonl")
    return {
        "saved": round(1 - (cost + sampled) / strong_cost, 4),
        "quality_kept": round(_quality(tasks, rows, seed) / strong, 4),
        "cheap_share": round(sum(row["model"] == SMALL for row in rows.values()) / len(tasks), 4),
        "escalated": said["escalated"]["answers"],
    }


def _run(
    folder: Path, simulator: SimulatorProcess, source: str, out: str, model: str | None = None
) -> tuple[Row, dict[str, Row], float, Mapping[str, Any]]:
    """One run: its summary, its results by id, what the simulator charged for it, and the simulator's books."""
    simulator.reset()
    pinned = ["--model", model] if model else []
    said = laneway(folder, simulator.url, "run", source, "-o", out, *pinned, allowed=(0, 1))
    if "calls" not in said:
        raise RuntimeError(said)
    stats = simulator.stats()
    rows = [json.loads(line) for line in (folder / out).read_text().splitlines()]
    return said, {row["id"]: row for row in rows}, stats["cost_usd"], stats["by_model"]


def _table(
    path: Path, sample: Sequence[Mapping[str, str]], outcomes: Mapping[str, Mapping[str, Row]], seed: int
) -> None:
    """What a user would write who has judged the sample."""
    columns = [f"{what}:{model}" for what in ("quality", "cost", "answer") for model in outcomes]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, ["id", "type", "text", *columns])
        table.writeheader()
        for task in sample:
            row: Row = dict(task)
            for model, results in outcomes.items():
                result = results[task["id"]]
                row[f"quality:{model}"] = int(good(task, result, seed))
                row[f"cost:{model}"] = result["cost_usd"]
                row[f"answer:{model}"] = _as_text(result["output"])
            table.writerow(row)


def _quality(tasks: Sequence[Mapping[str, str]], results: Mapping[str, Row], seed: int) -> float:
    return sum(good(task, results[task["id"]], seed) for task in tasks) / len(tasks)


def good(task: Mapping[str, str], result: Row, seed: int) -> bool:
    """Whether an answer is what the simulator answers when it answers well."""
    asked = mix.PROMPTS[task["type"]].replace("{{ text }}", task["text"])
    form = mix.SCHEMAS.get(task["type"])
    wanted = say(seed, asked, None if form is None else mix.schema(form), 1.0, OUTPUT_TOKENS, None).text
    if form is not None:
        return bool(result["output"] == json.loads(wanted))
    return _without_mark(_as_text(result["output"])) == wanted[: len(_without_mark(_as_text(result["output"])))]


def _without_mark(text: str) -> str:
    return text.removeprefix(POOR).strip().removesuffix(".")


def _as_text(output: Any) -> str:
    return output if isinstance(output, str) else json.dumps(output)


def _by_type(tasks: Sequence[Mapping[str, str]], results: Mapping[str, Row]) -> dict[str, float]:
    """The share of each type's tasks that ended with the small model's answer."""
    of_type = Counter(task["type"] for task in tasks)
    cheap = Counter(task["type"] for task in tasks if results[task["id"]]["model"] == SMALL)
    return {kind: round(cheap[kind] / n, 3) for kind, n in sorted(of_type.items())}
