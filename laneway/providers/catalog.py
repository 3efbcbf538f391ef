"""Accounts and models as configured, or, without any configuration, as the environment's keys allow."""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from laneway.config.models import AccountConfig, Config
from laneway.errors import AuthError, ConfigError, InputError
from laneway.providers.model import Account, Limits, Model
from laneway.providers.presets import Preset, presets, well_known_keys
from laneway.task import Wire


class Catalog:
    """Every name resolves to one Model object for the catalog's lifetime, until ``load_prices`` has filled prices in.

    ``concurrency``: of the accounts that exist only because the environment has a key. ``secrets`` is told every key.
    """

    def __init__(
        self,
        config: Config,
        env: Mapping[str, str],
        *,
        concurrency: int | None = None,
        secrets: Callable[[set[str]], object] | None = None,
    ) -> None:
        self._secrets = secrets
        self._config = config
        self._env = env
        self._concurrency = concurrency
        self._presets = presets()
        self._accounts: dict[str, Account] = {}
        self._models: dict[str, Model] = {}
        self._priced = False  # list prices are looked up

    def models(self) -> list[str]:
        """The configured names."""
        return list(self._config.models)

    def model(self, name: str) -> Model:
        """A model by its configured name, else by its provider's id. Without configured models any id is taken as it
        is.

        Raises InputError when there is none, ConfigError or AuthError when its account cannot be used.
        """
        if name not in self._models:
            model = self._make_model(name)
            self._models[name] = self._with_price(model) if self._priced else model
        return self._models[name]

    def account(self, name: str) -> Account:
        """A configured account with its key. Raises ConfigError or AuthError."""
        if name not in self._accounts:
            settings = self._config.accounts.get(name)
            if settings is None:
                raise ConfigError(f"there is no account {name!r}", hint=_known("accounts", name, self._config.accounts))
            self._accounts[name] = self._make_account(name, settings)
        return self._accounts[name]

    def check(self, names: Iterable[str]) -> None:
        """Whether these models can be called at all: keys there, addresses sound. Raises as ``model`` does."""
        for name in names:
            self.model(name)

    def load_prices(self) -> None:
        """Fill in prices that nobody configured, now and for models asked for later. Takes 0.2 s the first time; safe
        in a thread."""
        self._priced = True
        for name, model in list(self._models.items()):
            self._models[name] = self._with_price(model)

    def _with_price(self, model: Model) -> Model:
        provider = self._presets[model.accounts[0].provider].prices
        if not provider or (model.input_price is not None and model.output_price is not None):
            return model
        from laneway.providers.prices import price_of

        found = price_of(provider, model.id)
        if found is None:
            return model
        return dataclasses.replace(
            model,
            input_price=found.input if model.input_price is None else model.input_price,
            output_price=found.output if model.output_price is None else model.output_price,
            cached_price=found.cached if model.cached_price is None else model.cached_price,
        )

    def _make_model(self, name: str) -> Model:
        settings = self._config.models.get(name)
        if settings is None:
            same_id = [own for own, model in self._config.models.items() if model.id == name]
            if same_id:
                return self.model(same_id[0])
            if self._config.models:
                raise InputError(f"there is no model {name!r}", hint=_known("models", name, self._config.models))
            return Model(name=name, id=name, accounts=(self._implicit_account(name),))
        return Model(
            name=name,
            id=settings.id,
            accounts=tuple(self.account(account) for account in settings.account_names),
            input_price=settings.input_price,
            output_price=settings.output_price,
            cached_price=settings.cached_price,
            params=settings.params,
            timeout=settings.timeout,
            context_window=settings.context_window,
        )

    def _implicit_account(self, model_id: str) -> Account:
        """Without models in the config: the one configured account, else the environment's key."""
        if len(self._config.accounts) == 1:
            return self.account(next(iter(self._config.accounts)))
        provider = "anthropic" if model_id.startswith("claude") else "openai"
        if provider not in self._accounts:
            self._accounts[provider] = self._make_account(
                provider, AccountConfig(provider=provider, concurrency=self._concurrency)
            )
        return self._accounts[provider]

    def _make_account(self, name: str, settings: AccountConfig) -> Account:
        preset = self._presets.get(settings.provider)
        if preset is None:
            raise ConfigError(
                f"account {name}: there is no provider {settings.provider!r}",
                hint=_known("providers", settings.provider, self._presets)
                + '; any OpenAI-compatible endpoint works with provider = "openai-compatible" and a base_url',
            )
        base_url = self._base_url(name, settings, preset)
        key = self._key(name, settings, preset, base_url)
        if key and self._secrets is not None:
            self._secrets({key})
        limits = {field.name: getattr(settings, field.name) for field in dataclasses.fields(Limits)}
        return Account(
            name=name,
            provider=preset.name,
            wire=preset.wire,
            base_url=base_url,
            key=key,
            headers=settings.headers,
            limits=Limits(**limits),
            charges_max_tokens=preset.charges_max_tokens,
        )

    def _base_url(self, name: str, settings: AccountConfig, preset: Preset) -> str:
        from_env = self._env.get(preset.base_url_env or "", "").strip() if preset.base_url_env else ""
        url = (settings.base_url or from_env or preset.base_url or "").rstrip("/")
        if not url:
            raise ConfigError(
                f"account {name} has no address", hint=f'set base_url = "https://…/v1" under [accounts.{name}]'
            )
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(
                f"account {name}: base_url {url!r} is not an http(s) address", hint='write "https://host/v1"'
            )
        if preset.wire is Wire.MESSAGES and not url.endswith("/v1"):
            url += "/v1"  # Anthropic's SDK has it without
        return url

    def _key(self, name: str, settings: AccountConfig, preset: Preset, base_url: str) -> str | None:
        if settings.api_key_file is not None:
            path = self._config.folder / settings.api_key_file
            try:
                return path.read_text("utf-8").strip() or None
            except (OSError, UnicodeDecodeError) as error:
                raise AuthError(
                    f"account {name}: the key file {path} cannot be read", hint="check api_key_file and its permissions"
                ) from error
        variable = settings.api_key_env or preset.key_env
        if variable is None:
            return None
        key = self._env.get(variable, "").strip()
        if not key:
            if settings.api_key_env is None and (not preset.needs_key or is_loopback(base_url)):
                return None
            raise AuthError(
                f"account {name} has no key: the variable {variable} is not set",
                hint=f"export {variable}=…, or name another with api_key_env or api_key_file under [accounts.{name}];"
                " without a key, `laneway demo` shows everything on a practice provider",
            )
        self._refuse_foreign_host(name, variable, base_url)
        return key

    def _refuse_foreign_host(self, name: str, variable: str, base_url: str) -> None:
        """A provider's well-known key goes to that provider, to this machine, or where its own *_BASE_URL points: a
        config from somebody else must not be able to carry it away."""
        owner = well_known_keys().get(variable)
        host = (urlsplit(base_url).hostname or "").casefold()
        if owner is None or is_loopback(base_url):
            return
        if any(host == own or host.endswith("." + own) for own in owner.hosts):
            return
        own_url = self._env.get(owner.base_url_env or "", "")
        if own_url and (urlsplit(own_url).hostname or "").casefold() == host:
            return
        raise AuthError(
            f"account {name} would send {variable} to {host}, which is not {owner.name}'s",
            hint=f'if you trust {host}, put its key into a variable of its own and set api_key_env = "…" under'
            f" [accounts.{name}], or set {owner.base_url_env} to that address yourself",
        )


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _known(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known {what}: {', '.join(names)}" if names else f"add it under [{what}] in laneway.toml"
