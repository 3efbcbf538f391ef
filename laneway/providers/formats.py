"""Which formats an account takes, and in which of them a task is sent to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from laneway.config.models import AccountConfig, Config
from laneway.providers.presets import Preset, presets
from laneway.providers.translate import FORMATS, ways
from laneway.task import Wire

_OPENAI = frozenset((Wire.CHAT, Wire.EMBEDDINGS))
_OPENAI_WITH_RESPONSES = _OPENAI | {Wire.RESPONSES}
_ANTHROPIC = frozenset((Wire.MESSAGES,))
ANTHROPIC_IDS = "claude"  # how Anthropic's own model names begin


def formats_of(wire: Wire, responses: bool) -> frozenset[Wire]:
    """The formats of an endpoint. ``wire``: whose family it belongs to."""
    if wire is Wire.MESSAGES:
        return _ANTHROPIC
    return _OPENAI_WITH_RESPONSES if responses else _OPENAI


def carrier(formats: Collection[Wire], wire: Wire) -> Wire | None:
    """The format in which a body of format ``wire`` is sent: its own where that is taken, else the nearest that it can
    be translated into, None when there is none."""
    return next((way for way in ways(wire) if way in formats), None)


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a model takes, as its config and its accounts' providers say. Asked before anything is sent."""

    accounts: Mapping[str, frozenset[Wire]]  # each one's formats
    inputs: frozenset[str]  # of "text", "image", "pdf"
    context_window: int | None = None  # tokens

    def refuses(self, refused_by: Mapping[Wire, str]) -> str | None:
        """Why not all of the model's accounts can carry a body, None when they can. A task is claimed for a model, and
        whichever of its accounts admits first gets it: so every one of them has to be able to take it."""
        for name, formats in self.accounts.items():
            if all(wire in refused_by for wire in formats):
                wire = next(wire for wire in FORMATS if wire in formats)
                what = f"{refused_by[wire]} cannot be carried over into {FORMATS[wire]}"
                return what if len(self.accounts) == 1 else f"{what} (account {name})"
        return None


def abilities(config: Config, model: str) -> Abilities:
    """Of a configured model, or of a provider's id where none is configured. An account or provider that does not exist
    is taken for one of OpenAI's family: the catalog says what is wrong with it."""
    known = presets()
    own = known_as(config, model)
    settings = config.models[own] if own else None
    names = settings.account_names if settings else tuple(config.accounts) if len(config.accounts) == 1 else ()
    if not names:
        accounts = {provider: AccountConfig(provider=provider) for provider in [implicit_provider(model)]}
    else:
        accounts = {name: config.accounts.get(name) or AccountConfig() for name in names}
    of = {name: known.get(account.provider) or Preset(account.provider) for name, account in accounts.items()}
    inputs = frozenset.intersection(*(frozenset(preset.inputs) for preset in of.values()))
    if settings is not None and settings.inputs is not None:
        inputs = frozenset(settings.inputs)
    formats = {name: formats_of(of[name].wire, has_responses(of[name], accounts[name])) for name in of}
    return Abilities(formats, inputs, settings.context_window if settings else None)


def known_as(config: Config, model: str) -> str | None:
    """The configured name of a model that is named so, else of one with that provider's id; None when there is none."""
    if model in config.models:
        return model
    return next((name for name, settings in config.models.items() if settings.id == model), None)


def has_responses(preset: Preset, account: AccountConfig) -> bool:
    return preset.responses if account.responses is None else account.responses


def implicit_provider(model_id: str) -> str:
    """Whose a model is that nobody configured."""
    return "anthropic" if model_id.startswith(ANTHROPIC_IDS) else "openai"
