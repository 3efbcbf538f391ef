"""The lines of laneway.toml that are missing where a price is asked for and none is known."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from laneway.config.models import Config
from laneway.providers.model import Model
from laneway.providers.trust import is_loopback

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def price_lines(config: Config, models: Sequence[Model], unpriced: Sequence[Model]) -> str:
    """What to write, as TOML. ``models``: all that the input uses: as soon as one is configured, all must be."""
    lines = ["write what your provider charges (USD per million tokens) into laneway.toml:"]
    if not config.models and not config.accounts:
        for account in {model.accounts[0].name: model.accounts[0] for model in models}.values():
            lines += ["", f"[accounts.{_key(account.name)}]", f"provider = {_text(account.provider)}"]
    for model in models:
        known = model.name in config.models
        if model not in unpriced and (known or config.models):
            continue
        lines += ["", f"[models.{_key(model.name)}]" + ("   # there already: add to it" if known else "")]
        if not known:
            lines += [f"account = {_text(model.accounts[0].name)}", f"id = {_text(model.id)}"]
        if model in unpriced:
            lines += _prices(model)
    return "\n    ".join(lines)


def _prices(model: Model) -> list[str]:
    if all(is_loopback(account.base_url) for account in model.accounts):
        return ["input_price = 0.00    # on this machine: nothing", "output_price = 0.00"]
    found = [("input_price", model.input_price, "1.00"), ("output_price", model.output_price, "4.00")]
    return [f"{name} = {example}   # an example: put the real one" for name, price, example in found if price is None]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
