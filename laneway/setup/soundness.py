"""What loading a config does not look at: whether its providers, rules, templates and schemas can be used."""

from __future__ import annotations

from laneway.config.models import Config


def check_meaning(config: Config) -> None:
    """Raises ConfigError for the first provider, rule, template or schema that cannot."""
    from laneway.intake.prompts import PromptType
    from laneway.providers.catalog import preset_of
    from laneway.providers.presets import presets
    from laneway.triage.pipeline import Triage

    known = presets()
    for name, account in config.accounts.items():
        preset_of(name, account, known)
    Triage(config, models=tuple(config.models) or None)
    for name in config.prompt_types:
        PromptType(config, name)
