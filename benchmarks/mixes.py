"""The mixes of ``makespan``: a provider's limits, a config that says what a user knows of them, 1,500 to 1,800 tasks.

Sizes and latencies are log-normal, everything is drawn from a seed. Each mix is held back by something else and takes
an ideal dispatcher some 30 seconds.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ideal import Ideal, Work, ideal
from laneway.simulator.models import parse_models
from laneway.simulator.options import Options
from laneway.simulator.provider import Provider, wires

FILLER = "the letter says that the claim is covered and the refund can be paid before the end of the month, unless "


@dataclass(frozen=True, slots=True)
class Request:
    """One task: what it asks of which model, and where it may go."""

    text: str
    max_tokens: int
    model: str = "small"
    lane: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Mix:
    """``servers``: the options of each account's simulator. ``told``: each account's limits as the config has them.
    ``lanes``: weight and concurrency. ``accounts``: those that serve each model, by its name."""

    name: str
    about: str
    servers: Mapping[str, Mapping[str, Any]]
    told: Mapping[str, Mapping[str, float]]
    requests: Sequence[Request]
    provider: str = "openai"
    accounts: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"small": ["main"]})
    lanes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return "messages" if self.provider == "anthropic" else "chat/completions"

    def body(self, request: Request) -> dict[str, Any]:
        """The same for both wires."""
        messages = [{"role": "user", "content": request.text}]
        return {"model": request.model, "max_tokens": request.max_tokens, "messages": messages}

    def write(self, path: Path) -> Path:
        """The input file, in the provider's own batch format."""
        with path.open("w") as file:
            for i, request in enumerate(self.requests):
                row: dict[str, Any] = {"custom_id": f"t{i}"}
                if self.provider == "anthropic":
                    row["params"] = self.body(request)
                else:
                    row |= {"method": "POST", "url": "/v1/chat/completions", "body": self.body(request)}
                file.write(json.dumps(row) + "\n")
        return path

    def config(self, urls: Mapping[str, str]) -> str:
        """A ``laneway.toml``. ``urls``: of each account."""
        text = ""
        for account, url in urls.items():
            text += f'[accounts.{account}]\nprovider = "{self.provider}"\nbase_url = "{url}"\n'
            text += 'api_key_env = "KEY"\n'
            text += "".join(f"{name} = {value}\n" for name, value in self.told.get(account, {}).items())
        for model, accounts in self.accounts.items():
            text += f'[models.{model}]\naccounts = {json.dumps(list(accounts))}\nid = "{model}"\n'
            text += "input_price = 0.15\noutput_price = 0.6\n"
        for lane, settings in self.lanes.items():
            text += f"[lanes.{lane}]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
            text += f'[[rules]]\nwhen = {{ text = "/^{lane} /" }}\nlane = "{lane}"\n'
        return text

    def options(self, account: str) -> Options:
        """The options of an account's simulator, as it will have them."""
        given = {**self.servers[account]}
        if "models" in given:
            given["models"] = parse_models(given["models"])
        return Options(**given)

    def work(self) -> list[Work]:
        """The tasks as the simulator will charge them."""
        wire = wires()[self.path]
        provider = Provider(self.options(next(iter(self.servers))), 0.0)
        found = []
        for request in self.requests:
            charge, tokens = provider.charged(wire, self.body(request))
            accounts = tuple(self.accounts[request.model])
            found.append(Work(accounts, charge, 0.0, request.rank, request.lane, request.model, tokens))
        return found

    def ideal(self) -> Ideal:
        bounded = {name: round(lane["concurrency"]) for name, lane in self.lanes.items() if "concurrency" in lane}
        return ideal(self.work(), {account: self.options(account) for account in self.servers}, bounded)

    def job(self, urls: Mapping[str, str], best: Ideal) -> dict[str, Any]:
        """The same work for a peer, which is told more than we are: the true limits, and how many calls in flight they
        keep busy on average. Peers speak Chat Completions only; the simulator charges both wires alike but for
        ``tpm``."""
        accounts = {}
        for name, url in urls.items():
            options = self.options(name)
            latencies = [start.latency for start in best.starts if start.account == name]
            in_flight = options.concurrency or max(1, math.ceil(sum(latencies) / best.makespan))
            tokens = [limit for limit in (options.tpm, options.input_tpm, options.output_tpm) if limit]
            rpm = options.rpm or (60 * len(latencies) / best.makespan if options.concurrency else None)
            accounts[name] = {
                "url": url,
                "concurrency": options.concurrency,
                "in_flight": in_flight,
                "requests_per_minute": rpm,
                "tokens_per_minute": sum(tokens) or None,
            }
        tasks = [{"body": self.body(one), "accounts": list(self.accounts[one.model])} for one in self.requests]
        return {"accounts": accounts, "tasks": tasks}


def _text(start: str, tokens: int) -> str:
    """A prompt of about so many tokens that begins with ``start``."""
    length = max(len(start), tokens * 4)
    return (start + FILLER * math.ceil(length / len(FILLER)))[:length]


def _requests(
    seed: str, n: int, median: float, sigma: float, max_tokens: int, more: Callable[[random.Random], Mapping[str, Any]]
) -> list[Request]:
    """Prompts of log-normal length, 10 to 20,000 tokens. ``more``: what else a request has."""
    rng, made = random.Random(seed), []
    for i in range(n):
        tokens = min(20_000, max(10, round(rng.lognormvariate(math.log(median), sigma))))
        given = more(rng)
        made.append(Request(_text(f"{given.get('lane') or 'task'} {i} ", tokens), max_tokens, **given))
    return made


def _plain(rng: random.Random) -> Mapping[str, Any]:
    return {}


def requests_bound(seed: int) -> Mix:
    limit = {"requests_per_minute": 3200}
    server = {"rpm": 3200, "latency": 0.6, "spread": 0.5, "seed": 1 + seed}
    asked = _requests(f"requests {seed}", 1700, 60, 0.5, 100, _plain)
    return Mix("requests", "3,200 requests/min", {"main": server}, {"main": limit}, asked)


def input_bound(seed: int) -> Mix:
    limit = {"input_tokens_per_minute": 2_000_000}
    server = {"input_tpm": 2_000_000, "latency": 0.6, "spread": 0.5, "seed": 2 + seed}
    asked = _requests(f"input {seed}", 1600, 400, 1.0, 100, _plain)
    about = "2,000,000 input tokens/min, prompts of 10 to 10,000 tokens"
    return Mix("input", about, {"main": server}, {"main": limit}, asked, "anthropic")


def output_bound(seed: int) -> Mix:
    limit = {"output_tokens_per_minute": 450_000}
    server = {"output_tpm": 450_000, "latency": 0.3, "token_latency": 0.003, "spread": 0.3, "seed": 3 + seed}
    server |= {"output_tokens": 120, "output_spread": 0.6}
    asked = _requests(f"output {seed}", 1600, 60, 0.5, 1024, _plain)
    about = "450,000 output tokens/min, lengths unknown beforehand (120 in the median, 1,024 allowed)"
    return Mix("output", about, {"main": server}, {"main": limit}, asked, "anthropic")


def concurrency_bound(seed: int) -> Mix:
    limit = {"concurrency": 50}
    server = {"concurrency": 50, "latency": 0.8, "spread": 0.6, "seed": 4 + seed}
    asked = _requests(f"concurrency {seed}", 1500, 60, 0.5, 100, _plain)
    return Mix("concurrency", "50 calls at once", {"main": server}, {"main": limit}, asked)


def two_models(seed: int) -> Mix:
    limit = {"requests_per_minute": 3300, "tokens_per_minute": 1_400_000}
    server: dict[str, Any] = {
        "rpm": 3300,
        "tpm": 1_400_000,
        "latency": 0.5,
        "spread": 0.5,
        "seed": 5 + seed,
        "output_tokens": 80,
    }
    server["models"] = {"small": {"latency": 0.4}, "strong": {"latency": 1.2}}

    def either(rng: random.Random) -> Mapping[str, Any]:
        return {"model": "strong" if rng.random() < 0.3 else "small"}

    asked = _requests(f"two models {seed}", 1600, 200, 0.9, 120, either)
    served = {"small": ["main"], "strong": ["main"]}
    about = "two models share 3,300 requests/min and 1,400,000 tokens/min"
    return Mix("two_models", about, {"main": server}, {"main": limit}, asked, "openai", served)


def three_lanes(seed: int) -> Mix:
    told = {"main": {"requests_per_minute": 1800}, "second": {"concurrency": 20}}
    servers = {
        "main": {"rpm": 1800, "latency": 0.6, "spread": 0.5, "seed": 6 + seed},
        "second": {"concurrency": 20, "latency": 0.8, "spread": 0.5, "seed": 7 + seed},
    }

    def of_a_lane(rng: random.Random) -> Mapping[str, Any]:
        return {"lane": rng.choices(("legal", "support", "bulk"), (3, 5, 2))[0]}

    asked = _requests(f"three lanes {seed}", 1600, 60, 0.5, 100, of_a_lane)
    served = {"small": ["main", "second"]}
    lanes = {"legal": {"weight": 3}, "support": {"weight": 1}, "bulk": {"weight": 1, "concurrency": 12}}
    about = "three lanes (weights 3, 1, 1; one of 12 at once) on two accounts: 1,800 requests/min, 20 at once"
    return Mix("three_lanes", about, servers, told, asked, "openai", served, lanes)


def headers_only(seed: int) -> Mix:
    server = {"rpm": 3000, "burst": 5, "latency": 0.6, "spread": 0.5, "seed": 8 + seed}
    asked = _requests(f"headers {seed}", 1800, 60, 0.5, 100, _plain)
    about = "3,000 requests/min with 5 s of burst, which only the headers tell"
    return Mix("headers", about, {"main": server}, {}, asked)


def max_tokens_charged(seed: int) -> Mix:
    limit = {"tokens_per_minute": 1_000_000}
    server = {
        "tpm": 1_000_000,
        "latency": 0.6,
        "spread": 0.5,
        "seed": 9 + seed,
        "output_tokens": 40,
        "output_spread": 0.6,
    }
    asked = _requests(f"max_tokens {seed}", 1600, 80, 0.7, 200, _plain)
    about = "1,000,000 tokens/min that count max_tokens (200), whatever is written (40 in the median)"
    return Mix("max_tokens", about, {"main": server}, {"main": limit}, asked)


MIXES: Mapping[str, Callable[[int], Mix]] = {
    "requests": requests_bound,
    "input": input_bound,
    "output": output_bound,
    "concurrency": concurrency_bound,
    "two_models": two_models,
    "three_lanes": three_lanes,
    "headers": headers_only,
    "max_tokens": max_tokens_charged,
}
