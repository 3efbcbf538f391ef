"""What loading a config does not look at: whether its rules, templates and schemas can be used."""

from __future__ import annotations

from laneway.config.models import Config


def check_meaning(config: Config) -> None:
    """Raises ConfigError for the first rule, template or schema that cannot."""
    from laneway.intake.prompts import PromptType
    from laneway.triage.pipeline import Triage

    Triage(config, models=tuple(config.models) or None)
    for name in config.types:
        PromptType(config, name)
