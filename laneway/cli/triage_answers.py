"""``laneway triage train FILE --answers``, and what ``evaluate`` says of cascades: which answers of a cheap model are
probably not good enough."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laneway.cli.common import print_json
from laneway.cli.triage_labels import FOLDER, named, write

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.learning.examples import Table

DEFAULT_OUT = FOLDER / "answers.npz"


def train_answers(
    table: Table, path: Path, *, text: str | None, floor: float, seed: int, config: Config, as_json: bool
) -> None:
    """Write the model file, and say what it is worth on rows that it has not seen."""
    from laneway.learning.answers import train
    from laneway.learning.cascades import answered

    learnt = answered(table.rows, name=table.name, text=text)
    trained = train(learnt, floor=floor, seed=seed)
    written = write(trained.write, path)
    means = {model: float(values.mean()) for model, values in learnt.quality.items()}
    ways = [one for one in trained.cascades if means[one.further] > means[one.model]]
    if as_json:
        told = [{**one._asdict(), "quality_kept": one.quality} for one in ways]
        print_json({"model": str(path), "id": written.id, "quality_floor": floor, "seed": seed, "cascades": told})
        return
    lines = [
        f"{one.model} first, then {one.further} where its answer is probably not good enough: {one.escalated:.0%} of"
        f" {one.rows:,} answers go on, {one.quality:.1%} (± {one.error:.1%}) of {one.further}'s quality is kept"
        for one in ways
    ]
    lines += [
        f"\n{path} written (answers {written.id})",
        f'to use it: answers = "{named(path, config)}" under [triage] in laneway.toml, and fallbacks in the routes',
    ]
    sys.stdout.write("\n".join(lines) + "\n")


def judged_answers(table: Table, *, text: str | None, floor: float, seed: int) -> list[dict[str, Any]]:
    """What cascades would do, five-fold, thresholds included: empty for a table without answers."""
    from laneway.learning.answers import FOLDS, LEAST_ROWS, known_rows
    from laneway.learning.cascades import answered, has_answers, judge
    from laneway.learning.routing import Ranked

    if not has_answers(table.columns):
        return []
    learnt = answered(table.rows, name=table.name, text=text)
    means = {model: float(values.mean()) for model, values in learnt.quality.items()}
    found = []
    for model in learnt.answers:
        if len(known_rows(learnt, model)) * (FOLDS - 1) < LEAST_ROWS * FOLDS:
            continue  # too few to learn from in each fold
        for further in (name for name in learnt.quality if means[name] > means[model]):
            judged = judge(learnt, model, further, floor=floor, seed=seed)
            recovered = Ranked(judged.gain, judged.better - judged.own).recovered()
            figures = {**recovered._asdict(), "escalated": judged.escalated, "quality_kept": judged.kept}
            rounded = {name: round(value, 4) for name, value in figures.items()}
            found.append({"model": model, "further": further, "rows": len(judged.gain), **rounded})
    return found


def answers_text(cascades: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        f"  {one['model']} first, then {one['further']} where the answer is probably not good enough:"
        f" {one['escalated']:.0%} of {one['rows']:,} answers go on, {one['quality_kept']:.1%} of {one['further']}'s"
        f" quality is kept; APGR {one['apgr']:.3f}, CPT50 {one['cpt50']:.1%}, CPT80 {one['cpt80']:.1%}"
        for one in cascades
    ]
    return "\n".join(["", "cascades", *lines, ""]) if lines else ""
