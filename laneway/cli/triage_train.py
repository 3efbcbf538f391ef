"""``laneway triage train FILE``: which of the kinds of model file it makes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, VerboseOption, settings
from laneway.errors import UsageError

TableArgument = Annotated[
    str, typer.Argument(help="A table: .csv, .tsv, .jsonl, .xlsx, also as .gz; - for standard input.", metavar="FILE")
]
TextOption = Annotated[
    str | None,
    typer.Option("--text", help="The column with the text.", metavar="COLUMN", show_default="text, else prompt"),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Draws the parts that it is judged by.", min=0)]
ModelFileOption = Annotated[
    Path | None, typer.Option("-o", "--out", help="The model file to write.", show_default="triage/….npz")
]


class Label(StrEnum):
    category = "category"
    urgency = "urgency"
    complexity = "complexity"


def train(
    file: TableArgument,
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
    seed: SeedOption = 0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Learn from a table of examples, and say how good that is on texts that were not seen.

    With --label category, urgency or complexity: a column with the text, a column with the label. The model file is
    named under [triage] in laneway.toml.
    """
    loaded, _ = settings(config, verbose)
    if label is not None:
        from laneway.cli.triage_labels import train_labels

        train_labels(
            loaded,
            file,
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
    raise UsageError("what is to be learnt?", hint="say it with --label: category, urgency or complexity")
