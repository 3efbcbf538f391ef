"""``laneway triage train FILE --label …``: the model file, and its report for people."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from laneway.cli.common import print_json, printable
from laneway.errors import InputError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from laneway.config.models import Config
    from laneway.learning import examples
    from laneway.learning.examples import Examples
    from laneway.learning.labels import Report
    from laneway.triage.learned.files import ModelFile

FOLDER = Path("triage")  # of model files, beside the config
MOST_LABELS_SHOWN = 25


def train_labels(
    config: Config,
    table: examples.Table,
    label: str,
    *,
    out: Path | None,
    text: str | None,
    column: str | None,
    undertriage: float | None,
    least: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Raises UsageError, InputError."""
    if undertriage is not None and label == "category":
        raise UsageError("categories have no order", hint="--undertriage is for urgency and complexity")
    if least is not None and label != "category":
        raise UsageError(f"of {label}, --undertriage says what is given", hint="--least is for categories")
    needs_learn()
    from laneway.learning.examples import labelled
    from laneway.learning.labels import LEAST, UNDERTRIAGE, train

    began = time.monotonic()
    aliases = {alias.strip().casefold(): name for name, own in config.urgency.items() for alias in own.aliases}
    examples = labelled(table, label, text=text, column=column, aliases=aliases if label == "urgency" else None)
    trained = train(
        examples,
        undertriage=UNDERTRIAGE if undertriage is None else undertriage,
        least=LEAST if least is None else least,
        seed=seed,
    )
    path = out or config.folder / FOLDER / f"{label}.npz"
    written = write(trained.write, path)
    seconds = time.monotonic() - began
    line = f'{label} = "{named(path, config)}"'
    if as_json:
        print_json(_as_json(trained.report, examples, written, path, line, seconds))
    else:
        sys.stdout.write(_text(trained.report, examples, written, path, line, seconds))


def needs_learn() -> None:
    """Raises UsageError where what trains is not installed."""
    import importlib.util

    if any(importlib.util.find_spec(name) is None for name in ("numpy", "sklearn")):
        raise UsageError("to learn, scikit-learn is needed", hint="pip install 'laneway[learn]'")


def write(save: Any, path: Path) -> ModelFile:
    """Raises InputError where the file cannot be written."""
    try:
        written: ModelFile = save(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", hint="say with -o where it may go") from None
    return written


def named(path: Path, config: Config) -> str:
    """As the config names it: relative to its folder where it lies in it."""
    full, folder = path.absolute(), config.folder.absolute()
    return (full.relative_to(folder) if full.is_relative_to(folder) else full).as_posix()


def _as_json(
    report: Report, examples: Examples, written: ModelFile, path: Path, line: str, seconds: float
) -> dict[str, Any]:
    from laneway.learning.metrics import Rates

    found = report.found
    return {
        "label": report.about,
        "model_file": str(path),
        "id": written.id,
        "bytes": path.stat().st_size,
        "config": {"section": "triage", "line": line},
        "rows": report.rows,
        "drawn_from": len(examples.texts),
        "left_out": dict(examples.left_out),
        "seconds": round(seconds, 2),
        "macro_f1": round(report.macro_f1, 4),
        "accuracy": round(report.accuracy, 4),
        "majority": round(report.majority, 4),
        "ece": round(report.ece, 4),
        "labels": {name: one._asdict() for name, one in report.labels.items()},
        "confusions": [one._asdict() for one in report.confusions],
        "coverage": [one._asdict() for one in report.coverage],
        "threshold": report.least,
        "useless": report.useless,
        **(
            {"undertriage": found.under, "overtriage": found.over, "undertriage_wanted": report.undertriage}
            if isinstance(found, Rates)
            else {"share_labelled": found.share, "accuracy_labelled": found.accuracy}
        ),
    }


# for people -----------------------------------------------------------------------------------------------------------
def _text(report: Report, examples: Examples, written: ModelFile, path: Path, line: str, seconds: float) -> str:
    from rich.console import Console
    from rich.text import Text

    buffer = io.StringIO()
    terminal = sys.stdout.isatty()
    console = Console(file=buffer, force_terminal=terminal, highlight=False, width=None if terminal else 100)
    rows, labels = f"{report.rows:,} examples", f"{len(report.labels):,} labels"
    console.print(Text(f"{report.about} learnt from {rows} of {labels} in {seconds:.0f} s", style="bold"))
    for why, n in examples.left_out.items():
        console.print(Text(f"  {n:,} rows left out: they {printable(why)}"))
    if report.rows < len(examples.texts):
        console.print(Text(f"  drawn at random from {len(examples.texts):,} rows: more teach hardly more"))
    console.print(_labels_table(report))
    for sentence in _sentences(report):
        console.print(Text(f"  {sentence}"), soft_wrap=not terminal)
    console.print(Text(f"\nwritten: {path} ({path.stat().st_size / 1e6:.2f} MB, id {written.id})"), soft_wrap=True)
    console.print(Text(f"to use it, write into laneway.toml:\n\n  [triage]\n  {line}\n"), soft_wrap=True)
    return buffer.getvalue()


def _labels_table(report: Report) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(report.about)
    for name in ("examples", "found of these", "right when said", "F1"):
        table.add_column(name, justify="right")
    shown = list(report.labels.items())
    if len(shown) > MOST_LABELS_SHOWN:  # the weakest are what somebody can do something about
        shown = sorted(shown, key=lambda item: item[1].f1)[:MOST_LABELS_SHOWN]
    for name, one in shown:
        table.add_row(
            Text(printable(name)[:60]), f"{one.rows:,}", f"{one.recall:.0%}", f"{one.precision:.0%}", f"{one.f1:.2f}"
        )
    if len(shown) < len(report.labels):
        table.caption = f"the weakest {len(shown)} of {len(report.labels)}; --json has all"
    return table


def _sentences(report: Report) -> Iterator[str]:
    from laneway.learning.metrics import Rates

    yield (
        f"On texts not seen in learning: {report.accuracy:.1%} right"
        f" (the commonest label alone: {report.majority:.1%}), macro-F1 {report.macro_f1:.3f}."
    )
    yield f"A stated confidence is off by {report.ece:.1%} on average (ECE)."
    found = report.found
    if isinstance(found, Rates):
        yield (
            f"Undertriage {found.under:.1%} (given less than needed; {report.undertriage:.0%} was allowed),"
            f" overtriage {found.over:.1%} (given more than needed)."
        )
        yield f"A label is given where it, or a higher one, is needed with a chance of {report.least:.1%} or more."
        if report.useless:
            yield "So much overtriage says that these texts tell little: more examples would help."
    else:
        if report.useless:
            yield "These texts do not tell the label: it is no better than always saying the commonest. Do not use it."
        accuracy = "" if found.accuracy is None else f", {found.accuracy:.1%} of them rightly"
        yield f"At a confidence of {report.least:.0%} and above {found.share:.1%} are labelled{accuracy}; others go on."
        shares = [
            f"{one.accuracy:.0%} right of {one.share:.0%} at {one.confidence:.0%}"
            for one in report.coverage
            if one.accuracy is not None and one.confidence > report.least
        ]
        if shares:
            yield f"Surer, and fewer (--least): {'; '.join(shares)}."
    mixed = [
        f"{one.truth} as {one.given} ({one.rows:,}, {one.share:.0%})" for one in report.confusions[:4] if one.rows > 1
    ]
    if mixed:
        yield printable(f"Most often taken for another: {', '.join(mixed)}.")
