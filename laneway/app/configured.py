"""The part of ``Laneway`` that is made of its config: accounts and models, triage, what is trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laneway.app.renewing import Renewed
from laneway.errors import ConfigError
from laneway.logs import Redactor, learn_secrets

if TYPE_CHECKING:
    from laneway.app.inquiries import Inquiries
    from laneway.app.preparing import Preparing
    from laneway.config.models import Config
    from laneway.config.trusted import TrustBook
    from laneway.providers.catalog import Catalog
    from laneway.task import NewTask
    from laneway.triage.pipeline import Triage


class Configured:
    """Of ``Laneway``. Nothing is read or made before it is needed."""

    rules: dict[str, Callable[..., Any]]

    def __init__(
        self,
        config: str | Path | Config | None,
        env: Mapping[str, str],
        secrets: Callable[[set[str]], object] | None,
    ) -> None:
        self._given = config
        self.env = env
        self.redactor = Redactor()
        self._secrets = secrets
        self._config: Config | None = None
        self._catalog: Catalog | None = None
        self._trusted: TrustBook | None = None
        self._triage: Triage | None = None
        self._preparing: Preparing | None = None

    @property
    def config(self) -> Config:
        if self._config is None:
            from laneway.config.load import load
            from laneway.config.models import Config

            if isinstance(self._given, Config):
                self._config = self._given
            else:
                paths = () if self._given is None else (Path(self._given),)
                self._config = load(paths, env=self.env, cwd=Path.cwd())
        return self._config

    def use_config(self, config: Config) -> None:
        """Go by this config, unless the app has chosen one itself. Before the first use only."""
        if self._given is None and self._config is None:
            self._config = config

    @property
    def catalog(self) -> Catalog:
        if self._catalog is None:
            self._catalog = self.new_catalog()
        return self._catalog

    def take_config(self, renewed: Renewed) -> Renewed:
        """Go by this from now on; workers that are at work keep what they began with. Returns what held before."""
        before = Renewed(self.config, self.catalog, self.triage)
        self._config, self._catalog, self._triage = renewed
        self._preparing = None
        return before

    def reread(self) -> Config:
        """The files that the config came from, as they are now. Raises ConfigError."""
        from laneway.config.load import load

        if not self.config.sources:
            raise ConfigError("there is no config file to read again", hint="start anew with a laneway.toml")
        return load(self.config.sources, env=self.env, cwd=Path.cwd())

    def catalog_of(self, config: Config) -> Catalog:
        """What a new config makes of the accounts and models, with what is trusted by now."""
        self._trusted = None
        return self.new_catalog(config=config)

    def new_catalog(
        self, concurrency: int | None = None, *, keys_needed: bool = True, config: Config | None = None
    ) -> Catalog:
        """The accounts and models; ``concurrency`` is that of accounts which only the environment's keys make."""
        from laneway.providers.catalog import Catalog

        return Catalog(
            config or self.config,
            self.env,
            concurrency=concurrency,
            secrets=self._learn_secrets,
            trusts=lambda pairing: self.trusted.since(pairing) is not None,
            keys_needed=keys_needed,
        )

    def _learn_secrets(self, secrets: set[str]) -> None:
        self.redactor.add(secrets)
        learn_secrets(secrets)
        if self._secrets is not None:
            self._secrets(secrets)

    @property
    def trusted(self) -> TrustBook:
        """What the user of this machine has said may be sent where."""
        if self._trusted is None:
            from laneway.config.trusted import TrustBook, trust_file

            self._trusted = TrustBook(trust_file(self.env))
        return self._trusted

    @property
    def triage(self) -> Triage:
        if self._triage is None:
            from laneway.triage.pipeline import Triage

            self._triage = Triage(self.config, functions=self.rules, models=tuple(self.config.models) or None)
        return self._triage

    def inquiries(self, seen: Callable[[NewTask], object] = lambda _: None) -> Inquiries | None:
        """Questions to the classifier, where the config has one. ``seen`` is told of every task as it may become."""
        settings = self.config.triage.classifier
        if settings is None:
            return None
        from laneway.app.inquiries import Inquiries
        from laneway.triage.classifier import Classifier

        labels = self.triage.nurse.labels if self.triage.nurse else {}
        learned = {field: words for field, words in labels.items() if field == "category"}  # others have their own
        return Inquiries(self.config, self.triage, Classifier(self.config, settings, learned), seen)
