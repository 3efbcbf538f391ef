"""Do the accounts' endpoints answer, and do they accept the keys? Asked with the free ``GET /models``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from laneway.providers.model import Account
from laneway.providers.presets import Preset, presets
from laneway.providers.trust import is_loopback
from laneway.setup.doctor.findings import Finding, ok, problem, warning
from laneway.setup.servers import Heard, ask_models
from laneway.task import Wire
from laneway.version import VERSION

if TYPE_CHECKING:
    import aiohttp

PATIENCE_S = 5.0  # for an endpoint to list its models
SKEW_S = 30.0  # between this machine's clock and an endpoint's
MOST_SHOWN = 4
LISTS_FOR_ANYBODY = ("openrouter",)  # its list of models says nothing about the key
_SERVERS = {11434: "ollama serve", 8000: "vllm serve MODEL", 1234: "LM Studio's server"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An account's endpoint as it answered, and where it answers with /v1 added, if it does not as configured."""

    account: Account
    heard: Heard
    better_url: str = ""


async def ask(session: aiohttp.ClientSession, account: Account) -> Answer:
    from laneway.providers.client import proxy_for

    preset = presets()[account.provider]
    headers = request_headers(account, preset)
    proxy = proxy_for(account.base_url)
    whole = "?limit=1000" if account.wire is Wire.MESSAGES else ""  # Anthropic lists 20 at a time
    heard = await ask_models(session, account.base_url, headers=headers, proxy=proxy, timeout=PATIENCE_S, query=whole)
    path = urlsplit(account.base_url).path.rstrip("/")
    if heard.is_list or heard.status in (0, 401, 403) or path.endswith("/v1"):
        return Answer(account, heard)
    longer = account.base_url + "/v1"
    again = await ask_models(session, longer, headers=headers, proxy=proxy, timeout=PATIENCE_S)
    return Answer(account, heard, longer if again.is_list or again.status in (401, 403) else "")


def request_headers(account: Account, preset: Preset) -> dict[str, str]:
    headers = {"user-agent": f"laneway/{VERSION}", **account.headers}
    if account.wire is Wire.MESSAGES:
        headers.setdefault("anthropic-version", "2023-06-01")
    if account.key:
        bearer = preset.key_header == "authorization"
        headers[preset.key_header] = f"Bearer {account.key}" if bearer else account.key
    return headers


def examine_endpoint(answer: Answer, ids: Sequence[str], key_from: str) -> Iterator[Finding]:
    """``ids``: the models that the config uses on this account; ``key_from``: where its key stands, "" without one."""
    account, heard = answer.account, answer.heard
    check, place = f"account {account.name}", account.base_url
    if answer.better_url:
        yield problem(
            check,
            f"{place} has no models; {answer.better_url} has",
            f'set base_url = "{answer.better_url}" under [accounts.{account.name}]',
        )
    elif heard.status == 200 and heard.is_list:
        yield ok(
            check, f"{place} answers in {heard.seconds * 1000:.0f} ms" + (", and takes the key" if key_from else "")
        )
        yield from _models(account, heard.models, ids)
    elif heard.status == 0:
        yield problem(check, f"{place}: {heard.said}", _unreachable(account))
    elif heard.status in (401, 403):
        yield _refused(check, heard, key_from)
    else:
        yield _odd(check, place, heard)


def _refused(check: str, heard: Heard, key_from: str) -> Finding:
    said = f": {heard.said}" if heard.said else ""
    if not key_from:
        return problem(check, f"it wants a key ({heard.status}{said})", 'name its variable: api_key_env = "…"')
    return problem(
        check,
        f"it refuses the key from {key_from} ({heard.status}{said})",
        "check that the whole key was copied, that it is this provider's, and that it has not been withdrawn",
    )


def _odd(check: str, place: str, heard: Heard) -> Finding:
    mend = 'check base_url: it ends where the provider\'s own SDK has it, mostly with "/v1"'
    if 300 <= heard.status < 400:
        return problem(check, f"{place} redirects to {heard.headers.get('Location', 'elsewhere')}", mend)
    if heard.said == "an HTML page":
        return problem(
            check,
            f"{place}/models is a web page, no API ({heard.status})",
            f"{mend}; or a proxy on the way wants a login (HTTPS_PROXY, NO_PROXY)",
        )
    if heard.status == 404:
        return warning(
            check, f"{place} does not list its models (404)", f"{mend}; `laneway doctor --call` tries a call"
        )
    if heard.status == 429:
        return warning(check, f"{place} answers, but is asked too often (429: {heard.said})", "try again in a minute")
    if heard.status >= 500:
        return warning(check, f"{place} has trouble ({heard.status}: {heard.said})", "try again later")
    return problem(
        check, f"{place} answers {heard.status}: {heard.said or 'something that is no list of models'}", mend
    )


def _unreachable(account: Account) -> str:
    port = urlsplit(account.base_url).port
    if is_loopback(account.base_url):
        server = _SERVERS.get(port or 0, f"laneway simulator --port {port}" if port else "the server")
        return f"start it ({server}), or mend base_url under [accounts.{account.name}]"
    return "check base_url, the network, and whether a proxy is needed (HTTPS_PROXY)"


def _models(account: Account, listed: Sequence[str], ids: Sequence[str]) -> Iterator[Finding]:
    """Whether the configured ids are there. Azure lists base models, not the deployments that are called."""
    there = {id_.removeprefix("models/") for id_ in listed}
    # an alias stands for a dated id (claude-haiku-4-5-20251001), a name without a tag for the latest (llama3.3:latest)
    missing = [id_ for id_ in ids if not any(own == id_ or own.startswith((id_ + "-", id_ + ":")) for own in there)]
    if not missing or account.provider == "azure" or not there or "simulated" in there:
        return
    import difflib

    for id_ in missing[:MOST_SHOWN]:
        close = difflib.get_close_matches(id_, sorted(there), MOST_SHOWN, 0.5) or sorted(there)[:MOST_SHOWN]
        yield warning(
            f"account {account.name}",
            f"it does not list the model {id_!r}",
            f"it has {', '.join(close)}" + (f" and {len(there) - len(close)} more" if len(there) > len(close) else ""),
        )


def examine_clock(answers: Sequence[Answer]) -> Iterator[Finding]:
    """This machine's clock against the endpoints' ``Date`` headers, which have whole seconds."""
    offsets = {a.account.name: skew for a in answers if (skew := _skew(a.heard.headers, a.heard)) is not None}
    if not offsets:
        return
    name, worst = max(offsets.items(), key=lambda item: abs(item[1]))
    if abs(worst) > SKEW_S:
        yield warning(
            "clock",
            f"this machine's clock is {abs(worst):,.0f} s {'ahead of' if worst > 0 else 'behind'} {name}'s",
            "set the clock (timedatectl set-ntp true): limits and deadlines go by it",
        )
    else:
        yield ok("clock", f"within {max(1, round(abs(worst)))} s of the endpoints'")


def _skew(headers: Mapping[str, str], heard: Heard) -> float | None:
    date = next((value for name, value in headers.items() if name.casefold() == "date"), None)
    try:
        theirs = parsedate_to_datetime(date).timestamp() if date else None
    except (ValueError, TypeError, OverflowError):
        return None
    if theirs is None:
        return None
    difference = heard.at - heard.seconds / 2 - (theirs + 0.5)
    return difference if abs(difference) > 1.0 + heard.seconds else 0.0
