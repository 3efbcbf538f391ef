"""Unit prices from genai-prices' own table (offline; importing it costs 0.2 s, so it is imported when first asked)."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE = 1_000  # tokens to price: below every provider's long-context tier


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens."""

    input: float
    output: float
    cached: float
    written: float  # input written to the cache (for five minutes, where the provider has several times)


def price_of(provider: str, model_id: str) -> Prices | None:
    """The list price of a provider's model, None when the table has none."""
    from genai_prices import Usage, calc_price

    per_million = 1_000_000 / SAMPLE
    try:
        fresh = calc_price(Usage(input_tokens=SAMPLE, output_tokens=SAMPLE), model_id, provider_id=provider)
        cached = calc_price(Usage(input_tokens=SAMPLE, cache_read_tokens=SAMPLE), model_id, provider_id=provider)
        written = calc_price(Usage(input_tokens=SAMPLE, cache_write_tokens=SAMPLE), model_id, provider_id=provider)
    except (LookupError, ValueError):
        return None
    return Prices(
        float(fresh.input_price) * per_million,
        float(fresh.output_price) * per_million,
        float(cached.input_price) * per_million,
        float(written.input_price) * per_million,
    )
