"""What a task's tokens cost on models of a table, where only the config or the list of prices says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from laneway.config.models import AccountConfig, Config
from laneway.providers.formats import known_as
from laneway.providers.prices import price_of


def prices_of(config: Config, models: Iterable[str]) -> Mapping[str, tuple[float, float]]:
    """USD per million tokens, input and output, of those models that are configured (by name or provider's id)."""
    found = {}
    for model in models:
        name = known_as(config, model)
        if name is None:
            continue
        settings = config.models[name]
        if settings.input_price is not None and settings.output_price is not None:
            found[model] = (settings.input_price, settings.output_price)
            continue
        account = config.accounts.get(settings.account_names[0], AccountConfig())
        if (listed := price_of(account.provider, settings.id)) is not None:
            found[model] = (listed.input, listed.output)
    return found
