"""``laneway triage train`` and ``evaluate`` for tables of outcomes: which model for which task."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laneway.cli.common import print_json
from laneway.cli.triage_answers import answers_text
from laneway.cli.triage_labels import FOLDER, named, needs_learn, write
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.learning.examples import Table
    from laneway.learning.outcomes import Outcomes
    from laneway.learning.verdict import Report


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


def table_of(file: str) -> Table:
    """Raises InputError, UsageError."""
    needs_learn()
    from laneway.learning.examples import read_table

    return read_table(file)


def outcomes_of(table: Table, config: Config, *, text: str | None, costs: Sequence[str]) -> Outcomes:
    """Raises InputError, UsageError."""
    from laneway.learning.outcomes import COST, is_outcomes, models_of, outcomes
    from laneway.learning.prices import prices_of

    stated = costs_of(costs)
    if not is_outcomes(table.columns):
        raise UsageError(
            f"{table.name} is no table of outcomes: what is to be learnt?",
            hint="say it with --label (category, urgency, complexity), or give columns quality:NAME of two models",
        )
    own = any(column.startswith(COST) for column in table.columns)
    prices = {} if stated or own else prices_of(config, models_of(table.columns, table.name))
    return outcomes(table.rows, name=table.name, text=text, stated=stated, prices=prices)


def evaluate_choice(
    table: Outcomes,
    model: Path | None,
    floor: float,
    seed: int,
    as_json: bool,
    cascades: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Print what a choice among the models saves and keeps, and what cascades would (``judged_answers``)."""
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
        named = str(model) if model else None
        more = {"seed": seed, "model": named, "trained_on_this": own, "cascades": list(cascades)}
        print_json({**report.as_json(), **more})
        return
    if own:
        sys.stderr.write(f"{model} learnt from this very table: its figures here are better than on new tasks\n")
    sys.stdout.write(report_text(report) + answers_text(cascades))


def train_choice(table: Outcomes, out: Path | None, floor: float, seed: int, config: Config, as_json: bool) -> None:
    """Judge on rows not seen, learn from all, write the model file, print what it will save."""
    from laneway.learning.choice import fit
    from laneway.learning.choice_text import next_steps, report_text
    from laneway.learning.judging import try_out
    from laneway.learning.verdict import judge
    from laneway.providers.formats import known_as

    path = out or config.folder / FOLDER / "model.npz"
    report = judge(try_out(table, floor, seed), floor, seed)
    fitted = fit(table, seed=seed)
    file = write(lambda path: fitted.write(path, **judgement(report)), path)
    known = [name for name in table.models if known_as(config, name) is not None]
    if as_json:
        print_json({**report.as_json(), "seed": seed, "model": str(path), "id": file.id})
        return
    sys.stdout.write(report_text(report))
    sys.stdout.write(f"\n{path} written (triage {file.id})\n" + next_steps(report, named(path, config), known))


def judgement(report: Report) -> Mapping[str, Any]:
    """What the model file keeps of it: advice that is no routing is followed too."""
    kept = {"saved": report.at_floor.saved, "quality_kept": report.at_floor.quality_kept, "floor": report.floor}
    return {"verdict": report.verdict.value, "use": report.use, "judged": {**kept, "tested": report.tested}}
