"""One tiny paid call per model and account, when it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from laneway.clock import SystemClock
from laneway.providers.catalog import Catalog
from laneway.providers.client import Client
from laneway.providers.model import Account, Model, Observed, Reply
from laneway.setup.doctor.findings import Finding, ok, problem, warning
from laneway.task import FailureClass, Spec, Wire

LONGEST_CALL_S = 60.0
BODY = orjson.dumps({"messages": [{"role": "user", "content": "Say OK."}], "max_tokens": 16})


@dataclass(frozen=True, slots=True)
class CallOutcome:
    account: str
    finding: Finding
    observed: tuple[Observed, ...]


async def call_each(catalog: Catalog, accounts: Sequence[Account]) -> list[CallOutcome]:
    """Every configured model once on each of its accounts that can be used, all side by side."""
    usable = {account.name for account in accounts}
    names = [name for name, own in catalog.accounts_of_models().items() if usable.issuperset(own)]
    catalog.load_prices()
    async with Client(SystemClock()) as client:
        pairs = [(model, account) for model in map(catalog.model, names) for account in model.accounts]
        return list(await asyncio.gather(*(_call(client, model, account) for model, account in pairs)))


async def _call(client: Client, model: Model, account: Account) -> CallOutcome:
    spec = Spec(type="doctor", wire=Wire.CHAT)
    reply = await client.call(account, model, spec, BODY, timeout=min(model.timeout, LONGEST_CALL_S))
    return CallOutcome(account.name, _finding(model, account, reply), reply.observed)


def _finding(model: Model, account: Account, reply: Reply) -> Finding:
    check = f"model {model.name}"
    place = f" on {account.name}" if len(model.accounts) > 1 else ""
    if failure := reply.failure:
        word = f"{model.id}{place}: {failure.message}" + (f" ({failure.status})" if failure.status else "")
        if failure.refused:
            return warning(check, word, "it works, but is asked too often just now; try again in a minute")
        return problem(check, word, _mend(failure.cls, model, account))
    usage = reply.usage
    cost = model.cost(usage) if usage else None
    tokens = f", {usage.input_tokens}+{usage.output_tokens} tokens" if usage else ""
    said = f"{model.id}{place} answers in {reply.latency:.1f} s{tokens}"
    if cost is None:
        return warning(
            check,
            f"{said}; no price is known, so costs will be unknown",
            f"set input_price and output_price (USD per million tokens) under [models.{model.name}]",
        )
    return ok(check, f"{said}, ${cost:.6f}")


def _mend(cls: FailureClass, model: Model, account: Account) -> str:
    if cls is FailureClass.ACCOUNT:
        return f"check the key and the credit of account {account.name}"
    if cls is FailureClass.REQUEST:
        return f"check id and params under [models.{model.name}], and base_url under [accounts.{account.name}]"
    return "try again later; if it stays so, check base_url and the network"
