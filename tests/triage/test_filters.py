"""Which models can take a task at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from laneway.config.models import Config
from laneway.providers.translate import refusals
from laneway.task import Wire
from laneway.triage.filters import Filters, inputs_of
from laneway.triage.patient import Patient


def config(**models: dict[str, Any]) -> Config:
    accounts = {name: {"provider": name} for name in ("openai", "anthropic", "deepseek", "ollama")}
    given = {name: {"account": "openai", "id": name, **model} for name, model in models.items()}
    return Config.model_validate({"accounts": accounts, "models": given})


def patient(*attachments: str, as_text: bool = False) -> Patient:
    return Patient("t", "", 1, attachments=frozenset(attachments), pdf_as_text=as_text)


def test_inputs_are_the_providers_unless_configured() -> None:
    conf = config(
        gpt={},
        deep={"account": "deepseek"},
        local={"account": "ollama"},
        blind={"inputs": ["text"]},
        eyes={"account": "deepseek", "inputs": ["text", "image"]},
    )
    conf = conf.model_copy(
        update={
            "models": {
                **conf.models,
                "both": conf.models["gpt"].model_copy(update={"account": None, "accounts": ["openai", "ollama"]}),
            }
        }
    )
    assert {name: sorted(inputs_of(name, conf)) for name in conf.models} == {
        "gpt": ["image", "pdf", "text"],
        "deep": ["text"],
        "local": ["image", "text"],
        "blind": ["text"],
        "eyes": ["image", "text"],
        "both": ["image", "text"],
    }
    assert "pdf" in inputs_of("whatever-the-provider-has", Config())


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (patient(), None),
        (patient("image"), "it takes no images"),
        (patient("pdf", "image"), "it takes no images and no PDF documents"),
        (patient("pdf"), "it takes no PDF documents"),
        (patient("pdf", as_text=True), None),
    ],
)
def test_what_a_model_does_not_take(who: Patient, why: str | None) -> None:
    conf = config(blind={"inputs": ["text"]}, gpt={})
    said = Filters(conf).cannot("blind", who)
    assert (said and said.text) == why
    assert Filters(conf).cannot("gpt", who) is None


SAID = [{"role": "user", "content": "hi"}]
PLAIN = refusals(Wire.CHAT, {"messages": SAID})
SEED = refusals(Wire.CHAT, {"messages": SAID, "seed": 1})
EMBEDDING = refusals(Wire.EMBEDDINGS, {"input": "hi"})
OWN_RESPONSES = refusals(Wire.RESPONSES, {"input": "hi", "previous_response_id": "r"})


@pytest.mark.parametrize(
    ("model", "refused_by", "why"),
    [
        ("gpt", SEED, None),
        ("claude", SEED, "the field 'seed' cannot be carried over into Anthropic Messages"),
        ("both", SEED, "the field 'seed' cannot be carried over into Anthropic Messages (account anthropic)"),
        ("both", PLAIN, None),
        ("gpt", EMBEDDING, None),
        ("claude", EMBEDDING, "a request for OpenAI Embeddings cannot be carried over into Anthropic Messages"),
        ("gpt", OWN_RESPONSES, None),
        ("deep", EMBEDDING, None),
        ("gateway", OWN_RESPONSES, None),
    ],
)
def test_a_model_is_offered_when_all_its_accounts_can_carry_the_body(
    model: str, refused_by: Mapping[Wire, str], why: str | None
) -> None:
    conf = Config.model_validate(
        {
            "accounts": {
                **{name: {"provider": name} for name in ("openai", "anthropic", "deepseek")},
                "gateway": {"provider": "openai-compatible", "base_url": "http://g/v1", "responses": True},
            },
            "models": {
                "gpt": {"account": "openai", "id": "gpt"},
                "claude": {"account": "anthropic", "id": "claude"},
                "both": {"accounts": ["openai", "anthropic"], "id": "both"},
                "deep": {"account": "deepseek", "id": "deep"},
                "gateway": {"account": "gateway", "id": "any"},
            },
        }
    )
    said = Filters(conf).cannot(model, Patient("t", "", 1, refused_by=refused_by))
    assert (said and said.text) == why


def test_a_body_that_its_provider_lacks_the_endpoint_for_is_refused_by_name() -> None:
    said = Filters(config(deep={"account": "deepseek"})).cannot("deep", Patient("t", "", 1, refused_by=OWN_RESPONSES))
    assert said is not None
    assert said.text == "the field 'previous_response_id' cannot be carried over into Chat Completions"


def test_without_configured_models_the_id_tells_whose_it_is() -> None:
    filters = Filters(Config())
    assert filters.cannot("claude-haiku-4-5", Patient("t", "", 1, refused_by=SEED)) is not None
    assert filters.cannot("gpt-4o-mini", Patient("t", "", 1, refused_by=SEED)) is None
