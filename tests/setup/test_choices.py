"""The models that a new config begins with."""

from __future__ import annotations

import pytest

from laneway.providers.presets import presets
from laneway.providers.prices import price_of
from laneway.setup.choices import HOSTED, Pair, of_served


@pytest.mark.parametrize("name", HOSTED)
def test_each_proposed_model_has_a_known_price_and_the_strong_one_costs_more(name: str) -> None:
    pair = HOSTED[name]
    assert pair.strong is not None
    cheap, strong = (price_of(presets()[name].prices, id_) for id_ in (pair.cheap, pair.strong))
    assert cheap is not None
    assert strong is not None
    assert cheap.input < strong.input
    assert cheap.output < strong.output


@pytest.mark.parametrize(
    ("ids", "pair"),
    [
        (["llama3.3:70b", "nomic-embed-text", "qwen3:8b"], Pair("qwen3:8b", "llama3.3:70b")),
        (["Qwen/Qwen3-0.6B", "smollm-360m"], Pair("smollm-360m", "Qwen/Qwen3-0.6B")),
        (["mistral"], Pair("mistral")),
        (["bge-m3", "nomic-embed-text"], None),
        ([], None),
    ],
)
def test_a_local_server_is_sized_up_by_its_names(ids: list[str], pair: Pair | None) -> None:
    assert of_served(ids) == pair
