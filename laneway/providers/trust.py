"""What a config would send where that its user has to say yes to: keys to addresses that are not their owner's, key
files and files from outside the project to addresses that are no known provider's.

A config may come from somebody else. Without the user's word it must not be able to carry anything away.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from laneway.config.models import AccountConfig, Config
from laneway.config.places import dotted, own_file
from laneway.config.trusted import Pairing
from laneway.providers.presets import KEYS_OF_OTHERS, presets, well_known_keys

# Variables that other services' tools read, by the beginning of their names: secrets that are no model's key.
_SERVICES = (
    *("AWS_", "AZURE_", "GOOGLE_", "GCP_", "CLOUDFLARE_", "CF_", "DIGITALOCEAN_", "HEROKU_", "VERCEL_", "NETLIFY_"),
    *("GITHUB_", "GH_", "GITLAB_", "CI_", "BITBUCKET_", "DOCKER_", "KUBE", "VAULT_", "SSH_", "SENTRY_", "DATADOG_"),
    *("NPM_", "NODE_AUTH_", "PYPI_", "TWINE_", "UV_", "PIP_", "POETRY_", "CARGO_", "HF_", "HUGGING", "WANDB_"),
    *("DATABASE_", "DB_", "POSTGRES", "PGPASS", "MYSQL_", "MONGO", "REDIS_", "SNOWFLAKE_", "SUPABASE_"),
    *("SLACK_", "STRIPE_", "TWILIO_", "SENDGRID_", "MAILGUN_", "TELEGRAM_", "DISCORD_"),
)


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that a config would send to one address."""

    account: str
    pairing: Pairing
    said: str  # for people: "OPENAI_API_KEY", "the key file /home/me/key", "the file /etc/hosts (types.letter.prompt)"
    why: str  # "which is not openai's"

    @property
    def host(self) -> str:
        return urlsplit(self.pairing.to).netloc


def needs(config: Config, env: Mapping[str, str]) -> list[Need]:
    """Everything that this config may only do with its user's word, trusted or not."""
    return [need for name in config.accounts for need in account_needs(config, env, name, config.accounts[name])]


def account_needs(config: Config, env: Mapping[str, str], name: str, settings: AccountConfig) -> Iterator[Need]:
    """The same of one account. An address that the user's own environment gives to it is the user's word already."""
    preset = presets().get(settings.provider)
    if preset is None or _given_by_variable(config, name):
        return
    named = env.get(preset.base_url_env or "", "").strip() if settings.base_url is None else ""
    url = settings.base_url or named or preset.base_url or ""
    to = address(url)
    if not to or is_loopback(url):
        return
    source = _source(config, name)

    def need(sends: str, said: str, why: str) -> Need:
        return Need(name, Pairing(source, sends, to), said, why)

    variable = None if settings.api_key_file else settings.api_key_env or preset.key_env
    owner = _owner(variable) if variable else None
    if variable and owner and not _belongs(to, owner[1]) and not _named_by_owner(variable, to, env):
        yield need(f"variable {variable}", variable, f"which is not {owner[0]}'s")
    if named:
        return
    if settings.api_key_file is not None and not _belongs(to, preset.hosts):
        path = (config.folder / settings.api_key_file).resolve()
        yield need(f"file {path}", f"the key file {path}", "which is no known provider's")
    if not _belongs(to, (host for known in presets().values() for host in known.hosts)):
        for place, path in _files_outside(config):
            yield need(f"file {path}", f"the file {path} ({place})", "which is no known provider's")


def command(config: Config, account: str) -> str:
    """The command with which the user gives that word, exactly."""
    given = [part for source in config.sources for part in ("--config", str(source))]
    try:
        found_by_itself = len(config.sources) == 1 and config.sources[0] == Path.cwd() / "laneway.toml"
    except OSError:
        found_by_itself = False
    return shlex.join(["laneway", "trust", account, *([] if found_by_itself else given)])


def address(url: str) -> str:
    """Scheme, host and port of a URL, "" when it has none, or when others might read another host in it."""
    if any(char.isspace() or not char.isprintable() or char == "\\" for char in url):
        return ""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    if ":" in host:
        host = f"[{host}]"
    elif not re.fullmatch(r"[a-z0-9._-]+", host):  # hostname is in lower case
        return ""
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")


def is_loopback(url: str) -> bool:
    """Whether an address stays on this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _belongs(to: str, hosts: Iterable[str]) -> bool:
    """Whether an address is one of these hosts', encrypted."""
    parts = urlsplit(to)
    host = parts.hostname or ""
    return parts.scheme == "https" and any(host == own or host.endswith("." + own) for own in hosts)


def _owner(variable: str) -> tuple[str, tuple[str, ...]] | None:
    """Whose key a variable is known to hold, and the hosts it belongs to; None for a variable of the user's own."""
    known = well_known_keys().get(variable)
    if known is not None:
        return known.name, known.hosts
    if variable in KEYS_OF_OTHERS:
        return variable.partition("_")[0].lower(), KEYS_OF_OTHERS[variable]
    if variable.upper().startswith(_SERVICES):
        return variable.partition("_")[0].lower(), ()
    return None


def _named_by_owner(variable: str, to: str, env: Mapping[str, str]) -> bool:
    """The owner's own *_BASE_URL variable points there."""
    known = well_known_keys().get(variable)
    named = address(env.get(known.base_url_env or "", "").strip()) if known else ""
    if not named:
        return False
    own, asked = urlsplit(named), urlsplit(to)
    return own.hostname == asked.hostname and (asked.scheme == "https" or own.scheme == "http")


def _given_by_variable(config: Config, name: str) -> bool:
    """``LANEWAY_ACCOUNTS__MAIN__BASE_URL`` stands in the user's environment, not in a file."""
    origin = config.origin.get(dotted(("accounts", name, "base_url")))
    return origin is not None and origin not in map(str, config.sources)


def _source(config: Config, account: str) -> str:
    """The file that says where an account is."""
    files = {str(source): source for source in config.sources}
    for setting in ("base_url", "api_key_file", "api_key_env", "provider"):
        origin = config.origin.get(dotted(("accounts", account, setting)))
        if origin in files:
            return str(files[origin].resolve())
    return str((config.sources[-1] if config.sources else config.folder).resolve())


def _files_outside(config: Config) -> Iterator[tuple[str, Path]]:
    """Prompts and schemas that a project does not come with, outside it or hidden in it: (setting, real path)."""
    folders = [source.parent.resolve() for source in config.sources] or [config.folder.resolve()]
    for name, kind in config.types.items():
        named = [(field, getattr(kind, field)) for field in ("system", "prompt", "output")]
        named += [("checks", check.schema_) for check in kind.checks]
        for field, path in named:
            if path is None:
                continue
            file = config.folder / path
            if not own_file(file, folders):
                yield dotted(("types", name, field)), file.resolve()
