"""The whole examination, part by part. A part that cannot be examined is a finding, and the others go on."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from laneway.app.budgets import Way, check_prices
from laneway.app.settings import open_store, sqlite_path, store_url
from laneway.app.standing import standings
from laneway.config.load import load
from laneway.config.models import Config
from laneway.config.trusted import TrustBook, trust_file
from laneway.dispatch.budgets import setting
from laneway.errors import AuthError, BudgetError, LanewayError
from laneway.logs import Redactor
from laneway.providers.catalog import Catalog
from laneway.providers.model import Account
from laneway.providers.presets import presets
from laneway.setup.doctor.calls import CallOutcome, call_each
from laneway.setup.doctor.endpoints import Answer, ask, examine_clock, examine_endpoint
from laneway.setup.doctor.findings import Finding, ok, problem, warning
from laneway.setup.doctor.left import examine_left
from laneway.setup.doctor.limits import examine_limits, told_by
from laneway.setup.doctor.place import examine_modes, examine_place
from laneway.setup.soundness import check_meaning
from laneway.store.interface import Store
from laneway.store.urls import shown
from laneway.version import VERSION

ORDER = (
    "program", "config", "keys", "account", "model", "limits", "budget", "clock", "disk", "store", "workers", "outbox",
    "callback", "privacy", "extras",
)  # fmt: skip
LARGEST_CHECKED = 4_000_000_000  # bytes of a store that is checked row by row
EXTRAS = {"pdf": "pypdf", "xlsx": "python_calamine", "serve": "fastapi"}
_IMPLIED = {"OPENAI_API_KEY": "gpt", "ANTHROPIC_API_KEY": "claude"}  # without a config these keys alone will do


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be examined. ``call``: also make one tiny paid call per model and account."""

    configs: Sequence[Path]
    store: str | None
    env: Mapping[str, str]
    cwd: Path
    call: bool = False


@dataclass(frozen=True, slots=True)
class _Use:
    """An account that can be asked: the ids that are used on it, and where its key stands."""

    account: Account
    ids: tuple[str, ...]
    key_from: str


async def examine(question: Question) -> list[Finding]:
    redactor = Redactor()
    found = [_program()]
    config = _config(question, found)
    trusted = TrustBook(trust_file(question.env))
    catalog = Catalog(
        config, question.env, secrets=redactor.add, trusts=lambda pairing: trusted.since(pairing) is not None
    )
    uses = _accounts(config, catalog, question.env, found)
    store, stored = await _store(question, config, found)
    try:
        learnt = await _saved(store, uses, found)
        await _endpoints(question, catalog, uses, learnt, found)
        if store is not None:
            await _workers(store, found)
            found += await examine_left(store)
        await _budgets(config, catalog, store, found)
    finally:
        if store is not None:
            await store.close()
    if stored is not None:
        found += examine_modes(stored, config.sources[-1] if config.sources else None)
    found.append(_extras())
    found.sort(key=lambda finding: ORDER.index(finding.check.partition(" ")[0]))
    return [replace(one, said=redactor.clean(one.said), next=_without_login(one.next)) for one in found]


def _without_login(text: str) -> str:
    """An address may hold a user and a password."""
    return re.sub(r"//[^/@\s]+@", "//[hidden]@", text)


def _program() -> Finding:
    import apsw

    return ok(
        "program",
        f"Laneway {VERSION}, Python {platform.python_version()}, SQLite {apsw.sqlite_lib_version()}"
        f" on {platform.system()} {platform.machine()}",
    )


def _config(question: Question, found: list[Finding]) -> Config:
    """The config, or an empty one where it cannot be loaded."""
    try:
        config = load(question.configs, env=question.env, cwd=question.cwd)
    except LanewayError as error:
        found.append(problem("config", error.message, error.hint))
        return Config(folder=question.cwd)
    if not config.sources:
        found.append(
            ok("config", "none here or above: batch files run with the environment's keys", "`laneway init` writes one")
        )
        return config
    counted = ", ".join(
        f"{len(table)} {name if len(table) != 1 else name[:-1]}"
        for name, table in (("accounts", config.accounts), ("models", config.models), ("types", config.types),
                            ("rules", config.rules))
        if table
    )  # fmt: skip
    found.append(ok("config", f"{', '.join(map(str, config.sources))}: {counted or 'empty'}"))
    try:
        check_meaning(config)
    except LanewayError as error:
        found.append(problem("config", error.message, error.hint))
    return config


def _accounts(config: Config, catalog: Catalog, env: Mapping[str, str], found: list[Finding]) -> list[_Use]:
    """The accounts that can be asked; those that cannot be used at all are findings."""
    used: dict[str, list[str]] = {name: [] for name in config.accounts}
    for model in config.models.values():
        for name in model.account_names:
            used[name].append(model.id)
    uses = []
    for name, ids in used.items():
        try:
            account = catalog.account(name)
        except LanewayError as error:
            kind = problem if ids or not config.models else warning
            found.append(kind(f"account {name}", error.message.removeprefix(f"account {name} "), error.hint))
            continue
        uses.append(_Use(account, tuple(ids), _key_from(config, account)))
    if not config.accounts:
        uses += _implied(catalog, env, found)
    return uses


def _implied(catalog: Catalog, env: Mapping[str, str], found: list[Finding]) -> Iterator[_Use]:
    """Without accounts in a config: what the well-known keys allow."""
    keys = [variable for variable in _IMPLIED if env.get(variable, "").strip()]
    for variable in keys:
        try:
            yield _Use(catalog.model(_IMPLIED[variable]).accounts[0], (), variable)
        except AuthError as error:
            found.append(problem("keys", error.message, error.hint))
    if not keys:
        found.append(
            problem(
                "keys",
                "there is no account and no key: neither OPENAI_API_KEY nor ANTHROPIC_API_KEY is set",
                "export one, or `laneway init` for a local model server or the practice provider",
            )
        )


def _key_from(config: Config, account: Account) -> str:
    settings = config.accounts[account.name]
    if not account.key:
        return ""
    return str(settings.api_key_file or settings.api_key_env or presets()[account.provider].key_env or "")


async def _store(question: Question, config: Config, found: list[Finding]) -> tuple[Store | None, Path | None]:
    """The opened store (None where there is none yet) and its file."""
    url = store_url(question.store, config, question.env)
    try:
        path = sqlite_path(url)
    except LanewayError as error:
        found.append(problem("store", error.message, error.hint))
        return None, None
    if path is not None:
        path = path.absolute()
        found += examine_place(path)
        if not path.exists():
            found.append(_to_be_made(path))
            return None, path
    try:
        store = open_store(url)
    except LanewayError as error:
        found.append(problem("store", error.message, error.hint))
        return None, path
    try:
        found += await _try(store, path, str(path or shown(url)))
    except LanewayError as error:
        await store.close()
        found.append(problem("store", error.message, error.hint))
        return None, path
    return store, path


def _to_be_made(path: Path) -> Finding:
    folder = next(parent for parent in path.parents if parent.exists())
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        return ok("store", f"{path} will be made by the first run")
    return problem(
        "store",
        f"{path} cannot be made: {folder} is not writable",
        "change the folder's permissions, or name another place with --store sqlite:///path",
    )


async def _try(store: Store, path: Path | None, name: str) -> list[Finding]:
    now = time.time()
    await store.save_state("doctor", {"wrote": now}, now)  # whether it can be written to, found out by writing
    size = _size(path)
    if size > LARGEST_CHECKED:
        return [ok("store", f"{name} opens and can be written to ({size / 1e9:,.1f} GB, too large to be checked here)")]
    faults = await store.check()
    if faults:
        return [
            problem(
                "store",
                f"{name}: {len(faults)} faults in its books: {'; '.join(faults[:3])}",
                "keep a copy of it, restore a backup if there is one, and report this",
            )
        ]
    runs = len(await store.runs(1000))
    return [ok("store", f"{name}: sound, can be written to, {runs:,} run{'s' if runs != 1 else ''}")]


def _size(path: Path | None) -> int:
    return path.stat().st_size if path else 0


async def _saved(store: Store | None, uses: Sequence[_Use], found: list[Finding]) -> dict[str, dict[str, float]]:
    """What earlier runs learnt of the accounts' limits; accounts that they left paused are findings."""
    learnt = {}
    for use in uses if store is not None else ():
        assert store is not None
        saved = await store.load_state(f"account:{use.account.name}")
        state = saved[0] if saved else {}
        if isinstance(limits := state.get("limits"), dict):
            learnt[use.account.name] = {str(name): float(value) for name, value in limits.items()}
        if state.get("paused"):
            found.append(
                warning(
                    f"account {use.account.name}",
                    f"the last run stopped at it: {state['paused']}",
                    "mend that; the next run tries again",
                )
            )
    return learnt


async def _endpoints(
    question: Question,
    catalog: Catalog,
    uses: Sequence[_Use],
    learnt: Mapping[str, Mapping[str, float]],
    found: list[Finding],
) -> None:
    import asyncio

    import aiohttp

    async with aiohttp.ClientSession() as session:
        answers: list[Answer] = await asyncio.gather(*(ask(session, use.account) for use in uses))
    outcomes: list[CallOutcome] = []
    if question.call:
        outcomes = await call_each(catalog, [use.account for use in uses])
    for use, answer in zip(uses, answers, strict=True):
        found += examine_endpoint(answer, use.ids, use.key_from)
        own = [outcome for outcome in outcomes if outcome.account == use.account.name]
        found += [outcome.finding for outcome in own]
        told = told_by([one for outcome in own for one in outcome.observed])
        source = "by this call"
        if not told and (told := dict(learnt.get(use.account.name, {}))):
            source = "as of the last run"
        if answer.heard.status or told:
            found += examine_limits(use.account, told, source)
    found += examine_clock(answers)


async def _budgets(config: Config, catalog: Catalog, store: Store | None, found: list[Finding]) -> None:
    """How each stands today, and models that no budget can be kept with."""
    for one in await standings(config, store, time.time()):
        raise_it = f"it goes on by itself then; or raise {setting(one.budget)}"
        found.append(
            warning(f"budget {one.budget}", str(one), raise_it) if one.over else ok(f"budget {one.budget}", str(one))
        )
    for name in config.models:
        try:
            check_prices(config, catalog, [Way(name, "", "")])
        except BudgetError as error:
            found.append(warning("budget", f"model {name}: {error.message}", error.hint))
        except LanewayError:
            continue  # an account that cannot be used is a finding of its own


async def _workers(store: Store, found: list[Finding]) -> None:
    now = time.time()
    alive = [worker for worker in await store.workers(now) if worker.lease_until > now]
    running = sum(worker.running for worker in alive)
    said = f"{len(alive)} alive, {running} tasks in flight" if alive else "none; `laneway run` brings its own"
    found.append(ok("workers", said))


def _extras() -> Finding:
    there = {name: importlib.util.find_spec(module) is not None for name, module in EXTRAS.items()}
    missing = [name for name, is_there in there.items() if not is_there]
    said = ", ".join(f"{name} {'installed' if is_there else 'not installed'}" for name, is_there in there.items())
    return ok("extras", said, f"pip install 'laneway[{','.join(missing)}]' if you need them" if missing else "")
