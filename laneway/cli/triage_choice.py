"""``laneway triage train`` and ``evaluate`` for tables of outcomes: which model for which task."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laneway.cli.common import print_json
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.learning.outcomes import Outcomes
    from laneway.learning.verdict import Report

DEFAULT_OUT = Path("triage/model.npz")
DEFAULT_FLOOR = 0.98


def costs_of(given: Sequence[str]) -> dict[str, float]:
    """``--cost NAME=NUMBER``. Raises UsageError."""
    found = {}
    for one in given:
        name, _, number = one.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if not name or not 0.0 <= found[name] < 1e12:
            raise UsageError(f"--cost {one}", hint="write --cost NAME=NUMBER: what a task costs on that model")
    return found


def read(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    name: str,
    *,
    text: str | None,
    costs: Sequence[str],
    config: Config,
) -> Outcomes:
    """``name``: of the table, for messages. Raises InputError, UsageError."""
    from laneway.learning.outcomes import COST, models_of, outcomes
    from laneway.learning.prices import prices_of

    stated = costs_of(costs)
    own = any(column.startswith(COST) for column in columns)
    prices = {} if stated or own else prices_of(config, models_of(columns, name))
    return outcomes(rows, name=name, text=text, stated=stated, prices=prices)


def evaluate(table: Outcomes, model: Path | None, floor: float, seed: int, as_json: bool) -> None:
    """Print what a choice among the models saves and keeps."""
    from laneway.learning.choice_text import report_text
    from laneway.learning.judging import try_file, try_out
    from laneway.learning.verdict import judge
    from laneway.triage.learned.choice import KIND, Choice
    from laneway.triage.learned.files import load

    own = False
    if model is None:
        report = judge(try_out(table, floor, seed), floor, seed)
    else:
        file = load(model, KIND)
        own = file.header.get("table") == table.digest()
        report = judge(try_file(Choice(file), table, floor), floor, seed)
    if as_json:
        print_json({**report.as_json(), "seed": seed, "model": str(model) if model else None, "trained_on_this": own})
        return
    if own:
        sys.stderr.write(f"{model} learnt from this very table: its figures here are better than on new tasks\n")
    sys.stdout.write(report_text(report))


def train(table: Outcomes, out: Path | None, floor: float, seed: int, config: Config, as_json: bool) -> None:
    """Judge on rows not seen, learn from all, write the model file, print what it will save."""
    from laneway.learning.choice import fit
    from laneway.learning.choice_text import next_steps, report_text
    from laneway.learning.judging import try_out
    from laneway.learning.verdict import judge
    from laneway.providers.formats import known_as

    path = out or DEFAULT_OUT
    report = judge(try_out(table, floor, seed), floor, seed)
    file = fit(table, seed=seed).write(path, **_judged(report))
    known = [name for name in table.models if known_as(config, name) is not None]
    if as_json:
        print_json({**report.as_json(), "seed": seed, "model": str(path), "id": file.id})
        return
    sys.stdout.write(report_text(report))
    sys.stdout.write(f"\n{path} written (triage {file.id})\n" + next_steps(report, str(path), known))


def _judged(report: Report) -> Mapping[str, Any]:
    """What the model file keeps of it: advice that is no routing is followed too."""
    kept = {"saved": report.at_floor.saved, "quality_kept": report.at_floor.quality_kept, "floor": report.floor}
    return {"verdict": report.verdict.value, "use": report.use, "judged": {**kept, "tested": report.tested}}
