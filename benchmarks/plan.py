"""24 simulated mixes, planned and then run: how often the plan's ranges of time and cost hold what came true."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import laneway, workplace
from laneway.simulator.process import SimulatorProcess

MIXES_A_REPEAT = 8
AT_ONCE = 3  # mixes that run at the same time: they mostly wait
SECONDS = 5.0  # that a mix should take, about
WORDS = (
    "claim",
    "letter",
    "policy",
    "water",
    "pipe",
    "insurer",
    "refund",
    "before",
    "because",
    "section",
    "paid",
    "due",
)
PRICES = {"small": (0.15, 0.6), "strong": (2.5, 10.0)}
BINDS = ("requests", "tokens", "output_tokens", "input_tokens", "concurrency", "lane", "unknown", "two_accounts")


@dataclass(frozen=True)
class Mix:
    """One simulated provider and one kind of work, drawn from a seed."""

    seed: int
    binds: str  # the limit that is meant to bind
    tasks: int
    answer: int  # tokens
    bound: int | None  # max_tokens of the requests
    prompt: tuple[int, int]  # words
    strong_share: float
    latencies: Mapping[str, float]  # seconds, median, by model
    simulator: Mapping[str, Any] = field(default_factory=dict)
    config: str = ""

    @property
    def rate_bound(self) -> bool:
        return self.binds in ("requests", "tokens", "output_tokens", "input_tokens", "two_accounts")


def draw(seed: int, seconds: float = SECONDS) -> Mix:
    """``seconds``: that it should take, about; its tasks are as many as fit."""
    rng = random.Random(f"plan {seed}")
    binds = BINDS[seed % len(BINDS)]
    tasks, answer = round(rng.randint(60, 240) * seconds / SECONDS), rng.randint(10, 120)
    bound = rng.choice([None, round(answer * rng.uniform(1.1, 4.0))])
    shortest = rng.randint(10, 200)
    prompt = (shortest, shortest + rng.randint(0, 200))
    strong = rng.choice([0.0, 0.1, 0.3])
    small_s = rng.uniform(0.15, 0.6) + answer / rng.uniform(60, 250)
    latencies = {"small": small_s, "strong": small_s * rng.uniform(1.0, 2.0)}
    mean_s = (1 - strong) * latencies["small"] + strong * latencies["strong"]
    words_in = sum(prompt) / 2
    tokens_in = words_in * 6.2 / 4
    per_minute = {
        "requests": ("requests_per_minute", "rpm", tasks),
        "two_accounts": ("requests_per_minute", "rpm", tasks / 2),
        "tokens": ("tokens_per_minute", "tpm", tasks * (tokens_in + (bound or answer))),
        "input_tokens": ("input_tokens_per_minute", "input_tpm", tasks * tokens_in),
        "output_tokens": ("output_tokens_per_minute", "output_tpm", tasks * answer),
    }
    account, simulator, lanes = [], {"error_rate": rng.choice([0.0, 0.0, 0.02, 0.05])}, ""
    simulator["spread"] = rng.choice([0.0, 0.2, 0.4, 0.6])
    slots = max(2, round(tasks * mean_s / seconds))
    if binds in per_minute:
        name, option, amount = per_minute[binds]
        limit = round(amount / seconds * 60)
        account.append(f"{name} = {limit}")
        simulator[option] = limit
    if binds == "concurrency":
        account.append(f"concurrency = {slots}")
    if binds == "lane":
        lanes = f"[lanes.general]\nconcurrency = {slots}\n"
    provider = "anthropic" if binds in ("input_tokens", "output_tokens") else "openai"
    accounts = ["main", "second"] if binds == "two_accounts" else ["main"]
    config = lanes
    for name in accounts:
        config += f'[accounts.{name}]\nprovider = "{provider}"\nbase_url = "URL"\napi_key_env = "KEY_{name.upper()}"\n'
        config += "".join(line + "\n" for line in account)
    for name, (price_in, price_out) in PRICES.items():
        config += f'[models.{name}]\naccounts = {json.dumps(accounts)}\nid = "sim-{name}"\n'
        config += f"input_price = {price_in}\noutput_price = {price_out}\n"
    return Mix(seed, binds, tasks, answer, bound, prompt, strong, latencies, simulator, config)


def write(mix: Mix, path: Path, part: str) -> None:
    rng = random.Random(f"{mix.seed} {part}")
    with path.open("w") as file:
        for i in range(mix.tasks):
            text = f"{part} {i} " + " ".join(rng.choices(WORDS, k=rng.randint(*mix.prompt)))
            model = "strong" if rng.random() < mix.strong_share else "small"
            body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": text}]}
            if mix.bound is not None:
                body["max_tokens"] = mix.bound
            row = {"custom_id": f"{part}{i}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(row) + "\n")


def compare(mix: Mix) -> dict[str, Any]:
    """Plan, run, and the same again with other tasks of the kind, now with history."""
    with workplace() as folder:
        models = {f"sim-{name}": {"latency": seconds} for name, seconds in mix.latencies.items()}
        (folder / "models.json").write_text(json.dumps(models))
        options = {"output_tokens": mix.answer, "models": folder / "models.json", "seed": mix.seed, **mix.simulator}
        with SimulatorProcess(**options) as simulator:
            (folder / "laneway.toml").write_text(mix.config.replace("URL", simulator.url))
            return {"mix": mix.seed, "binds": mix.binds} | {
                part: _once(mix, folder, simulator.url, part) for part in ("cold", "warm")
            }


def _once(mix: Mix, folder: Path, url: str, part: str) -> dict[str, Any]:
    write(mix, folder / f"{part}.jsonl", part)
    keys = {"KEY_MAIN": "sk-main", "KEY_SECOND": "sk-second"}
    planned = laneway(folder, url, "plan", f"{part}.jsonl", env=keys)
    ran = laneway(folder, url, "run", f"{part}.jsonl", env=keys)
    found: dict[str, Any] = {"bound_by": [planned["bound_by"], ran["bound_by"]]}
    for name, true in (("seconds", ran["seconds"]), ("cost_usd", ran["cost_usd"])):
        low, high = planned[name]["low"], planned[name]["high"]
        found[name] = {"low": low, "true": true, "high": high, "within": low <= true <= high, "width": high / low}
    return found


def run(repeat: int, first: int = 0) -> dict[str, Any]:
    mixes = [draw(seed) for seed in range(first, first + repeat * MIXES_A_REPEAT)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = list(threads.map(compare, mixes))
    return {"mixes": len(mixes), **{part: _figures(mixes, done, part) for part in ("cold", "warm")}, "all": done}


def _figures(mixes: Sequence[Mix], done: Sequence[Mapping[str, Any]], part: str) -> dict[str, Any]:
    of = [one[part] for one in done]
    rate_bound = [one for one, mix in zip(of, mixes, strict=True) if mix.rate_bound]
    return {
        "seconds_within": _share([one["seconds"]["within"] for one in of]),
        "cost_within": _share([one["cost_usd"]["within"] for one in of]),
        "both_within": _share([one["seconds"]["within"] and one["cost_usd"]["within"] for one in of]),
        "seconds_width": _median(of, "seconds"),
        "seconds_width_where_a_rate_binds": _median(rate_bound, "seconds"),
        "cost_width": _median(of, "cost_usd"),
        "bound_by_right": _share([one["bound_by"][0] == one["bound_by"][1] for one in of]),
    }


def _share(held: Sequence[bool]) -> float:
    return round(sum(held) / len(held), 3)


def _median(of: Sequence[Mapping[str, Any]], name: str) -> float:
    """Of high over low."""
    return round(float(statistics.median(one[name]["width"] for one in of)), 2)
