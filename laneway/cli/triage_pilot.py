"""``laneway triage pilot FILE``: is the cheap model good enough for these tasks?"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async
from laneway.cli.input_options import InputArguments, PromptOption, TypeOption, read_options
from laneway.cli.steer import YesOption
from laneway.errors import InputError, UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.pilot.advice import Share
    from laneway.app.pilot.pilot import Budget, Pilot
    from laneway.app.pilot.report import Report
    from laneway.app.pilot.writing import Edit


def pilot(
    inputs: InputArguments,
    type_: TypeOption = None,
    prompt: PromptOption = None,
    models: Annotated[
        str | None,
        typer.Option(metavar="CHEAP,STRONG", help="The two models.", show_default="the cheapest and the dearest"),
    ] = None,
    sample: Annotated[int, typer.Option(min=30, max=1000, help="So many tasks, drawn by --seed.")] = 50,
    scorer: Annotated[
        str | None,
        typer.Option(metavar="MODULE:FUNCTION", help="(answer, reference, record) → 0 to 1.", show_default=False),
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A model that compares the answers.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="The right answer.", show_default="reference or expected, if there"),
    ] = None,
    max_cost: Annotated[float | None, typer.Option(min=0, help="At most this many USD.", show_default=False)] = None,
    quality_floor: Annotated[
        float | None,
        typer.Option(
            min=0.5, max=1.0, help="Part of the strong model's quality.", show_default="quality_floor of [triage]"
        ),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the routing into laneway.toml.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The table of outcomes.", show_default="FILE.pilot.jsonl"),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask everything again, and pay for it.")] = False,
    yes: YesOption = False,
    seed: Annotated[int, typer.Option(min=0, help="Draws the sample.")] = 0,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Try a sample of tasks on two models, compare their answers, and say what the cheap one would save and cost in
    quality.

    The budget is stated first. The same command again pays for nothing twice. The table of outcomes that it writes is
    what `laneway triage train` learns from.
    """
    from laneway.app.pilot.pilot import PilotOptions

    lw = application(config, store, verbose)
    read = read_options(
        lw,
        type=type_,
        prompt=prompt,
        model=None,
        lane=None,
        urgency=None,
        triage=False,
        limit=None,
        samples=1,
        also=inputs[1:],
    )
    options = PilotOptions(
        input=inputs[0],
        read=read,
        models=_two(models),
        sample=sample,
        seed=seed,
        scorer=scorer,
        judge=judge,
        reference=reference,
        floor=lw.config.triage.quality_floor if quality_floor is None else quality_floor,
        max_cost=max_cost,
        fresh=fresh,
        out=out,
    )
    from laneway.app.pilot.pilot import Pilot

    one = Pilot(lw, options)
    ask = not (yes or as_json) and sys.stdin.isatty() and sys.stderr.isatty()
    report = run_async(_carry_out(lw, one, ask=ask))
    edit = _edit(lw, report, seed) if write else None
    written = None
    if edit is not None and edit.diff and (not ask or _agreed(edit)):
        from laneway.app.pilot.writing import apply

        written = apply(edit, lw.config, dict(os.environ))
    if as_json:
        print_json({**report.as_json(), "written": str(edit.path) if written and edit else None, "seed": seed})
        return
    sys.stdout.write(_text(report))
    if write:
        sys.stdout.write(_wrote(edit, written))


def _two(names: str | None) -> tuple[str, str] | None:
    if names is None:
        return None
    parts = [name.strip() for name in names.split(",") if name.strip()]
    if len(parts) != 2:
        raise UsageError(f"--models {names}", hint="two names with a comma between: the cheap one, the strong one")
    return parts[0], parts[1]


async def _carry_out(lw: Laneway, one: Pilot, *, ask: bool) -> Report:
    loop = asyncio.get_running_loop()
    try:
        budget = await one.prepare()
        sys.stderr.write(_budget_text(one.models, budget))
        if ask and budget.calls and not await asyncio.to_thread(typer.confirm, "Go on?", default=True, err=True):
            raise typer.Abort
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, one.interrupt)
        return await one.carry_out()
    finally:
        await lw.close()


def _budget_text(models: tuple[str, str], budget: Budget) -> str:
    cost = budget.estimate.cost
    price = f"${cost.low:,.4f} to ${cost.high:,.4f}" if cost else "no price is known for some of it"
    done = f"; {budget.done:,} are paid already" if budget.done else ""
    return f"{budget.tasks:,} tasks on {models[0]} and {models[1]}: {budget.calls:,} calls to make, {price}{done}\n"


def _edit(lw: Laneway, report: Report, seed: int) -> Edit | None:
    """What is to be written; None where the advice is no routing that could be written."""
    from laneway.app.pilot.advice import Advice
    from laneway.app.pilot.writing import routing

    types = list(report.by_type)
    match report.advice:
        case Advice.CHEAP:
            return routing(lw.config, types, report.cheap, report.strong)
        case Advice.STRONG:
            return routing(lw.config, types, report.strong, None)
        case Advice.LEARNED:
            return _learnt(lw, report, seed)
        case _:
            return None


def _learnt(lw: Laneway, report: Report, seed: int) -> Edit | None:
    """A model file from the pilot's outcomes, where they are enough and tell which model will do; else None."""
    import importlib.util

    if importlib.util.find_spec("sklearn") is None or importlib.util.find_spec("numpy") is None:
        return None
    from laneway.app.pilot.report import rows_of
    from laneway.app.pilot.writing import learnt
    from laneway.cli.triage_choice import judgement
    from laneway.cli.triage_labels import FOLDER, named, write
    from laneway.learning.choice import fit
    from laneway.learning.judging import try_out
    from laneway.learning.outcomes import outcomes
    from laneway.learning.verdict import Verdict, judge

    path = lw.config.folder / FOLDER / "model.npz"
    try:
        table = outcomes(rows_of(report))
        judged = judge(try_out(table, report.floor, seed), report.floor, seed)
    except InputError:  # too few of them
        return None
    if judged.verdict is not Verdict.ROUTE:
        return None
    write(lambda path: fit(table, seed=seed).write(path, **judgement(judged)), path)
    sys.stderr.write(f"{_from_here(path)} written: it chooses the model, and saves {judged.at_floor.saved:.0%}\n")
    return learnt(lw.config, named(path, lw.config), report.floor)


def _agreed(edit: Edit) -> bool:
    sys.stderr.write(edit.diff + "\n")
    return typer.confirm(f"Write this into {edit.path}?", default=True, err=True)


def _wrote(edit: Edit | None, backup: Path | None) -> str:
    if edit is None:
        return "\nnothing was written: the advice above is no routing yet\n"
    if not edit.diff:
        return f"\n{_from_here(edit.path)} says so already\n"
    if backup is None:
        return "\nnothing was written\n"
    return f"\n{edit.diff}\n{_from_here(edit.path)} written; what was there is {_from_here(backup)}\n"


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _text(report: Report) -> str:
    found = report.figures
    cheap, strong = report.cheap, report.strong
    if found is None:
        return "no task was answered by both models\n" + _left_out(report)
    lines = [
        f"{found.tasks:,} tasks on {cheap} and {strong}, {report.by}",
        f"  quality kept   {_share(found.kept)} of {strong}'s with {cheap} for everything",
        f"  saved          {_share(found.saved)} of the cost" if found.saved else "  saved          unknown: no prices",
        f"  agree          {found.alike:.0%} of the answers say the same",
    ]
    if len(report.by_type) > 1:
        for name, one in report.by_type.items():
            lines.append(f"  {name}: {one.tasks:,} tasks, kept {_share(one.kept)}, saved {_share(one.saved)}")
    if report.judge_cost is not None:
        lines.append(f"  {report.judged:,} pairs {report.by}, which cost ${report.judge_cost:,.4f}; the others agree")
    lines.append("  this pilot cost " + ("an unknown sum" if report.cost is None else f"${report.cost:,.4f}"))
    return (
        "\n".join(lines) + "\n" + _left_out(report) + "\n" + _advice(report) + f"\nthe outcomes are in {report.table}\n"
    )


def _share(share: Share | None) -> str:
    return "unknown" if share is None else f"{share.value:.1%} ({share.low:.1%} to {share.high:.1%})"


def _left_out(report: Report) -> str:
    return "".join(f"  {n:,} left out: {why}\n" for why, n in report.left_out.items())


def _advice(report: Report) -> str:
    from laneway.app.pilot.advice import Advice

    floor, cheap, strong = f"{report.floor:.0%}", report.cheap, report.strong
    found = report.figures
    match report.advice:
        case Advice.CHEAP:
            return f"Use {cheap} for everything: it keeps {floor} of the quality, even at the worst that is likely."
        case Advice.LEARNED:
            assert found is not None, "advice needs figures"
            return (
                f"{cheap} alone loses too much, but does {found.as_good:.0%} of the tasks as well: which ones can"
                f" perhaps be learnt. Collect outcomes (--sample 300; learning takes 200), then:"
                f" laneway triage train {report.table}"
            )
        case Advice.STRONG:
            why = "it saves too little" if found and found.saved and found.saved.value < 0.05 else "it loses too much"
            return f"Keep {strong}: {cheap} is no substitute here, {why}."
        case Advice.MORE:
            if report.loose:
                return (
                    "Too little is known: the answers are long texts, and that two differ word by word says little."
                    " Give --judge MODEL, --scorer MODULE:FUNCTION or a column with the right answer (--reference)."
                )
            further = (
                ""
                if report.more is None
                else f" Some {report.more:,} more tasks would settle it: --sample {report.more + report.asked}"
            )
            return f"Too little data to promise {floor} of the quality.{further}"
