"""Accounts and models as configured, or, without any configuration, as the environment's keys allow."""

from __future__ import annotations

import dataclasses
import difflib
import logging
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

from laneway.config.models import AccountConfig, Config
from laneway.config.trusted import Pairing
from laneway.errors import AuthError, ConfigError, InputError
from laneway.providers.formats import has_responses, implicit_provider
from laneway.providers.model import Account, Limits, Model
from laneway.providers.presets import Preset, presets
from laneway.providers.secrets import secret_headers
from laneway.providers.trust import account_needs, address, command, is_loopback
from laneway.task import Wire

LARGEST_KEY = 16_000  # characters
MOST_NAMED = 5  # things that a refusal names

log = logging.getLogger(__name__)


class Catalog:
    """Every name resolves to one Model object for the catalog's lifetime, until ``load_prices`` has filled prices in.

    ``concurrency``: of the accounts that exist only because the environment has a key. ``secrets`` is told every key.
    ``trusts``: what the user has said may be sent where (``laneway.config.trusted``); nothing, unless given.
    ``keys_needed`` False: nothing will be sent; a key that is not set only goes into ``without_key``, in words.
    """

    def __init__(
        self,
        config: Config,
        env: Mapping[str, str],
        *,
        concurrency: int | None = None,
        secrets: Callable[[set[str]], object] | None = None,
        trusts: Callable[[Pairing], bool] | None = None,
        keys_needed: bool = True,
    ) -> None:
        self._secrets = secrets
        self._trusts = trusts
        self._keys_needed = keys_needed
        self.without_key: list[str] = []
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

    def accounts_of_models(self) -> dict[str, tuple[str, ...]]:
        """The configured models and the names of their accounts, whether those can be used or not."""
        return {name: settings.account_names for name, settings in self._config.models.items()}

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
            cache_write_price=found.written if model.cache_write_price is None else model.cache_write_price,
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
            cache_write_price=settings.cache_write_price,
            params=settings.params,
            timeout=settings.timeout,
            context_window=settings.context_window,
        )

    def _implicit_account(self, model_id: str) -> Account:
        """Without models in the config: the one configured account, else the environment's key."""
        if len(self._config.accounts) == 1:
            return self.account(next(iter(self._config.accounts)))
        provider = implicit_provider(model_id)
        if provider not in self._accounts:
            self._accounts[provider] = self._make_account(
                provider, AccountConfig(provider=provider, concurrency=self._concurrency)
            )
        return self._accounts[provider]

    def _make_account(self, name: str, settings: AccountConfig) -> Account:
        preset = preset_of(name, settings, self._presets)
        base_url = self._base_url(name, settings, preset)
        key = self._key(name, settings, preset, base_url)
        self._refuse_untrusted(name, settings)
        if self._secrets is not None:
            self._secrets({*([key] if key else ()), *secret_headers(settings.headers)})
        if key and base_url.startswith("http://") and not is_loopback(base_url):
            log.warning("account %s sends its key unencrypted: %s is not https", name, base_url)
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
            counts_cached=preset.counts_cached,
            responses=has_responses(preset, settings),
            weight=settings.weight,
        )

    def _base_url(self, name: str, settings: AccountConfig, preset: Preset) -> str:
        from_env = self._env.get(preset.base_url_env or "", "").strip() if preset.base_url_env else ""
        url = (settings.base_url or from_env or preset.base_url or "").rstrip("/")
        if not url:
            raise ConfigError(
                f"account {name} has no address", hint=f'set base_url = "https://…/v1" under [accounts.{name}]'
            )
        if not address(url):
            raise ConfigError(
                f"account {name}: base_url {url!r} is not an http(s) address", hint='write "https://host/v1"'
            )
        if urlsplit(url).username is not None:  # the config's own is refused when it is loaded
            raise ConfigError(
                f"account {name}: a user name or password in {preset.base_url_env or 'base_url'} is not sent",
                hint="put the key into a variable and name it with api_key_env",
            )
        if preset.wire is Wire.MESSAGES and not url.endswith("/v1"):
            url += "/v1"  # Anthropic's SDK has it without
        return url

    def _key(self, name: str, settings: AccountConfig, preset: Preset, base_url: str) -> str | None:
        if settings.api_key_file is not None:
            path = self._config.folder / settings.api_key_file
            try:
                with path.open("rb") as file:
                    return _one_key(file.read(LARGEST_KEY + 1).decode("utf-8-sig"), name, str(path))
            except (OSError, UnicodeDecodeError):
                raise AuthError(
                    f"account {name}: the key file {path} cannot be read", hint="check api_key_file and its permissions"
                ) from None
        variable = settings.api_key_env or preset.key_env
        if variable is None:
            return None
        key = _one_key(self._env.get(variable, ""), name, variable)
        if key is None:
            if settings.api_key_env is None and (not preset.needs_key or is_loopback(base_url)):
                return None
            why = f"account {name} has no key: the variable {variable} is not set"
            if not self._keys_needed:
                self.without_key.append(why)
                return None
            raise AuthError(
                why,
                hint=f"export {variable}=…, or name another with api_key_env or api_key_file under [accounts.{name}];"
                " without a key, `laneway demo` shows everything on a practice provider",
            )
        return key

    def _refuse_untrusted(self, name: str, settings: AccountConfig) -> None:
        """A config from somebody else must not be able to carry keys or files away."""
        asked = account_needs(self._config, self._env, name, settings)
        needs = [need for need in asked if self._trusts is None or not self._trusts(need.pairing)]
        if not needs:
            return
        first, more = needs[0], len(needs) - MOST_NAMED
        named = [need.said for need in needs[:MOST_NAMED]] + ([f"{more} more files"] if more > 0 else [])
        hint = f"if you mean it, say so once: `{command(self._config, name)}`"
        if first.pairing.sends.startswith("variable "):
            hint += f'; or give {first.host} a key of its own, in a variable that api_key_env = "…" names'
        what = " and ".join(part for part in (", ".join(named[:-1]), named[-1]) if part)
        raise AuthError(f"account {name} would send {what} to {first.host}, {first.why}", hint=hint)


def _one_key(text: str, account: str, place: str) -> str | None:
    """A key as it goes into a header: one word. None where there is nothing."""
    key = text.strip()
    if len(key) > LARGEST_KEY or not key.isascii() or any(char.isspace() or not char.isprintable() for char in key):
        raise AuthError(f"account {account}: what {place} holds is no key", hint="a key is one word; check the place")
    return key or None


def preset_of(account: str, settings: AccountConfig, known: Mapping[str, Preset]) -> Preset:
    """Raises ConfigError for a provider that is not known."""
    preset = known.get(settings.provider)
    if preset is None:
        raise ConfigError(
            f"account {account}: there is no provider {settings.provider!r}",
            hint=_known("providers", settings.provider, known)
            + '; any OpenAI-compatible endpoint works with provider = "openai-compatible" and a base_url',
        )
    return preset


def _known(what: str, name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known {what}: {', '.join(names)}" if names else f"add it under [{what}] in laneway.toml"
