"""``laneway triage evaluate FILE``: what a choice among models would save, before it is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, VerboseOption, settings
from laneway.cli.triage_train import CostOption, FloorOption, SeedOption, TableArgument, TextOption


def evaluate(
    file: TableArgument,
    model: Annotated[
        Path | None,
        typer.Option("--model", help="Judge this model file.", show_default="one that learns from parts of the table"),
    ] = None,
    quality_floor: FloorOption = None,
    text: TextOption = None,
    cost: CostOption = None,
    seed: SeedOption = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """What choosing a model for each task would save and keep, against one model for all, the type and chance.

    A table of outcomes has the text, quality:NAME (0 to 1) of two models or more, and, if you can, type and cost:NAME
    (USD). With columns answer:NAME it also says what a cascade would do: one model first, a stronger one where the
    answer is probably not good enough. The advice is to route, to use one model for everything, or that there is
    nothing to be had. Writes nothing.
    """
    from laneway.cli.triage_answers import judged_answers
    from laneway.cli.triage_choice import evaluate_choice, outcomes_of, table_of

    loaded, _ = settings(config, verbose)
    floor = loaded.triage.quality_floor if quality_floor is None else quality_floor
    table = table_of(file)
    outcomes = outcomes_of(table, loaded, text=text, costs=cost or ())
    cascades = judged_answers(table, text=text, floor=floor, seed=seed) if model is None else ()
    evaluate_choice(outcomes, model, floor, seed, as_json, cascades)
