"""Which models can take a task at all."""

from __future__ import annotations

from typing import Any

import pytest

from laneway.config.models import Config
from laneway.triage.filters import cannot, inputs_of
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
    said = cannot("blind", who, conf, None)
    assert (said and said.text) == why
    assert cannot("gpt", who, conf, None) is None
