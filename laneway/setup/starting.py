"""``laneway init`` without its terminal: look, propose, write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from laneway.config.load import found_files, load
from laneway.errors import InputError
from laneway.setup.material import Material, look
from laneway.setup.proposal import CONFIG, Proposal, Step, free_port, propose, steps
from laneway.setup.surroundings import Provider, on_this_machine, with_keys
from laneway.setup.writing import write


@dataclass(frozen=True, slots=True)
class Surroundings:
    material: list[Material]
    providers: list[Provider]
    config: Path | None  # the one in use already


def look_around(argument: str | None, *, env: Mapping[str, str], cwd: Path) -> Surroundings:
    """What there is to work with. Raises InputError for an argument that is no readable file or folder."""
    target = cwd / (argument or ".")
    if not target.exists():
        raise InputError(
            f"there is no file or folder {argument}", hint="check the name; without one the folder is searched"
        )
    material = look(target, argument.rstrip("/") or "/" if argument else ".")
    if argument and not material:
        raise InputError(
            f"{argument} holds nothing that Laneway reads",
            hint="tables (.csv, .tsv, .xlsx), JSON records (.jsonl), batch files, or a folder of documents",
        )
    providers = [*with_keys(env), *asyncio.run(on_this_machine(env))]
    files = found_files((), env=env, cwd=cwd)
    return Surroundings(material, providers, files[-1] if files else None)


def proposal(around: Surroundings, first: str | None = None) -> Proposal:
    """``first``: the provider to begin with, else the likeliest."""
    providers = sorted(around.providers, key=lambda provider: provider.preset != first)
    return propose(around.material, providers, port=free_port() if not providers else 0)


@dataclass(frozen=True, slots=True)
class Outcome:
    written: tuple[str, ...]
    kept: tuple[str, ...]  # that were there already
    steps: tuple[Step, ...]


def carry_out(proposed: Proposal, around: Surroundings, *, env: Mapping[str, str], cwd: Path, force: bool) -> Outcome:
    """Write what is proposed. A config that is in use already, here or above, is kept unless ``force``; then the next
    steps are told for that one. Raises ConfigError where a file cannot be written, or a kept config is not sound."""
    keep = around.config is not None and not force
    files = [file for file in proposed.files if not (keep and file.path == CONFIG)]
    types = load(env=env, cwd=cwd).types if keep else None
    done = write(cwd, files, force=force)
    kept = (_from(cwd, around.config), *done.kept) if keep and around.config else done.kept
    return Outcome(done.written, kept, steps(proposed, types=types))


def _from(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
