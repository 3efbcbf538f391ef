"""``laneway triage train FILE``: which of the kinds of model file it makes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, settings
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.learning.examples import Table

TableArgument = Annotated[
    str, typer.Argument(help="A table: .csv, .tsv, .jsonl, .xlsx, also as .gz; - for standard input.", metavar="FILE")
]
TextOption = Annotated[
    str | None,
    typer.Option("--text", help="The column with the text.", metavar="COLUMN", show_default="text, else prompt"),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Draws the parts that it is judged by.", min=0)]
CostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--cost",
        metavar="NAME=NUMBER",
        help="What a task costs on a model, where the table has no columns cost:NAME; once for each.",
        show_default=False,
    ),
]
FloorOption = Annotated[
    float | None,
    typer.Option(
        help="Part of the strongest model's quality that is to be kept.",
        min=0.5,
        max=1.0,
        show_default="quality_floor of [triage], 0.98",
    ),
]
ModelFileOption = Annotated[
    Path | None, typer.Option("-o", "--out", help="The model file to write.", show_default="triage/….npz")
]

TrainTableArgument = Annotated[
    str | None,
    typer.Argument(help="A table: .csv, .tsv, .jsonl, .xlsx, also as .gz; - for standard input.", metavar="[FILE]"),
]
FromStoreOption = Annotated[
    bool, typer.Option("--from-store", help="Learn from `laneway feedback` and from what models made of their tasks.")
]
SinceOption = Annotated[
    str | None, typer.Option("--since", help="Of the store: only what is newer: 30d, 2026-11-01.", show_default=False)
]
AnswersOption = Annotated[
    bool, typer.Option("--answers", help="Of the answers in a table of outcomes: which go on to a stronger model.")
]


class Label(StrEnum):
    category = "category"
    urgency = "urgency"
    complexity = "complexity"


def train(
    file: TrainTableArgument = None,
    label: Annotated[Label | None, typer.Option("--label", help="What is to be learnt.", show_default=False)] = None,
    out: ModelFileOption = None,
    text: TextOption = None,
    column: Annotated[
        str | None,
        typer.Option("--column", help="The column with the label.", show_default="the label's name, else label"),
    ] = None,
    undertriage: Annotated[
        float | None,
        typer.Option(
            help="Of urgency and complexity: how many texts may get less than they need.",
            min=0.0,
            max=0.5,
            show_default="0.05",
        ),
    ] = None,
    least: Annotated[
        float | None,
        typer.Option(
            help="Of a category: how likely it has to be right; else the text is left to the next step.",
            min=0.0,
            max=1.0,
            show_default="0.5",
        ),
    ] = None,
    answers: AnswersOption = False,
    from_store: FromStoreOption = False,
    since: SinceOption = None,
    quality_floor: FloorOption = None,
    cost: CostOption = None,
    seed: SeedOption = 0,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Learn from a table, or from what the store knows, and say how good that is on texts that were not seen.

    With --label category, urgency or complexity: a column with the text, a column with the label. Without: which model
    will do, from a table of outcomes with columns quality:NAME (0 to 1) and cost:NAME (USD). With --answers: which
    answers are probably not good enough, from such a table with columns answer:NAME. The model file is named under
    [triage] in laneway.toml.
    """
    if (file is None) != from_store or (since is not None and not from_store):
        raise UsageError("learn from what?", hint="give a table's FILE, or --from-store, and --since with the latter")
    loaded, _ = settings(config, verbose)
    table = _table(file, config, store, verbose, label, since)
    if label is not None:
        from laneway.cli.triage_labels import train_labels

        train_labels(
            loaded,
            table,
            label.value,
            out=out,
            text=text,
            column=column,
            undertriage=undertriage,
            least=least,
            seed=seed,
            as_json=as_json,
        )
        return
    from laneway.cli.triage_choice import outcomes_of, train_choice

    if column is not None or undertriage is not None or least is not None:
        raise UsageError("which label?", hint="--column, --undertriage and --least go with --label")
    floor = loaded.triage.quality_floor if quality_floor is None else quality_floor
    if answers:
        from laneway.cli.triage_answers import DEFAULT_OUT, train_answers

        path = out or loaded.folder / DEFAULT_OUT
        train_answers(table, path, text=text, floor=floor, seed=seed, config=loaded, as_json=as_json)
        return
    train_choice(outcomes_of(table, loaded, text=text, costs=cost or ()), out, floor, seed, loaded, as_json)
    if not as_json and any(column.startswith("answer:") for column in table.columns):
        typer.echo("the table has answers, too: with --answers it teaches which of them are probably not good enough")


def _table(
    file: str | None, config: list[Path] | None, store: str | None, verbose: int, label: Label | None, since: str | None
) -> Table:
    """The one that is given, or what the store teaches. Raises UsageError, InputError."""
    from laneway.cli.triage_choice import table_of

    if file is not None:
        return table_of(file)
    from laneway.cli.triage_labels import needs_learn
    from laneway.cli.triage_store import table_of_store

    needs_learn()
    return table_of_store(config, store, verbose, None if label is None else label.value, since)
