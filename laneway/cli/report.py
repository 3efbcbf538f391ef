"""A run's summary for people."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from laneway.app.runs.summary import Summary
from laneway.dispatch.ending import StopReason
from laneway.store.figures import GroupFigures
from laneway.task import Outcome

if TYPE_CHECKING:
    from rich.table import Table

    from laneway.app.flows.paths import Paths
    from laneway.app.runs.saving import Saving

ROWS = 12  # of a table, before the rest is only counted
PATH_ROWS = 6  # types on a flow's critical path that are named
LEAST_SHARE = 0.02  # of a flow's time, that is worth a word
MOSTLY = 0.9  # of a task's time in its calls: that is not worth a word
HELD_SHARE = 0.5  # of a flow's time, waiting for its turn: its limits are what holds it up


def summary_lines(summary: Summary) -> str:
    """The whole summary as text, coloured when stderr is a terminal that wants colour."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    buffer = io.StringIO()
    terminal = sys.stderr.isatty()
    console = Console(
        file=buffer, force_terminal=terminal, highlight=False, width=None if terminal else 100, soft_wrap=True
    )
    figures = summary.figures
    done = f"{summary.succeeded:,} of {summary.tasks:,} tasks succeeded"
    if summary.failed:
        done += f", {summary.failed:,} failed"
    if summary.cancelled:
        done += f", {summary.cancelled:,} cancelled"
    if summary.remaining:
        done += f", {summary.remaining:,} left"
    console.print(Text(done, style="bold green" if summary.exit_code == 0 else "bold yellow"))
    speed = (
        f", {summary.speedup:.1f} times as fast as one after the other" if summary.speedup and summary.succeeded else ""
    )
    console.print(f"  time     {duration(summary.seconds)}{speed}")
    retried = f", {figures.retries:,} of them retries ({_outcomes(summary)})" if figures.retries else ""
    console.print(f"  calls    {figures.calls:,}{retried}")
    cached = f" ({figures.cached_tokens:,} cached)" if figures.cached_tokens else ""
    console.print(f"  tokens   {figures.input_tokens:,} in{cached}, {figures.output_tokens:,} out")
    console.print(f"  cost     {_cost_line(summary)}")
    if summary.escalated:
        spent = money(summary.escalated_cost)
        console.print(
            f"  weak     {summary.escalated:,} answers, for which a stronger model was asked; they cost {spent}"
        )
    if summary.saving is not None and summary.saving.share:
        console.print(f"  choice   {saving_line(summary.saving)}", markup=False)
    if summary.asked.asked or summary.from_cache:
        console.print(f"  triage   {_triage_line(summary)}")
    if summary.bound_by:
        console.print(f"  held by  {summary.bound_by}")
    elif figures.calls:
        console.print("  held by  no limit; the calls themselves took the time")
    if summary.paths is not None:
        console.print("\n".join(_path_lines(summary.paths)), markup=False)
    for (origin, model), n in summary.diverted.items():
        console.print(f"  instead  {n:,} tasks went to {model} while {origin} was away or slow", markup=False)
    if summary.bad_input:
        console.print("\n".join(_skipped(summary)), markup=False)
    if summary.deduplicated:
        console.print(f"  twice    {summary.deduplicated:,} lines that came before, taken once")
    for title, groups in (
        ("type", summary.total.by_type),
        ("model", summary.total.by_model),
        ("lane", summary.total.by_lane),
    ):
        if len(groups) > 1 or (title == "type" and groups):
            console.print(_table(Table, title, groups))
    if summary.total.failures:
        console.print(Text("failures", style="bold"))
        for group in summary.total.failures[:ROWS]:
            example = Text(f"  {group.tasks:,} × {group.cls.value}/{group.code}: {group.message}")
            console.print(example)
            console.print(Text(f"      for example {group.example_key or group.example_id}"))
    if summary.stop.reason is not StopReason.DONE:
        console.print(Text(_stopped(summary), style="bold yellow"))
    for thing in summary.paused:
        console.print(Text(f"paused by hand: {thing}; `laneway resume {thing}` lets it go on", style="bold yellow"))
    console.print(Text(f"results in {summary.out}"))
    return buffer.getvalue()


def duration(seconds: float) -> str:
    """``950 ms``, ``12.3 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def money(amount: float | None) -> str:
    """USD with as many digits as matter."""
    if amount is None:
        return "unknown"
    return (
        f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}" if amount >= 0.0001 else f"${amount:.6f}"
    )


def _skipped(summary: Summary) -> list[str]:
    lines = [f"  skipped  {summary.bad_input:,} that cannot be used, kept in {summary.bad_file}"]
    lines += [f"           {bad.place}: {bad.reason}" for bad in summary.bad_first]
    more = summary.bad_input - len(summary.bad_first)
    return [*lines, f"           … and {more:,} more"] if more else lines


def _cost_line(summary: Summary) -> str:
    figures, total = summary.figures, summary.total
    if figures.cost_unknown_tasks:
        said = f"unknown for {figures.cost_unknown_tasks:,} tasks (no price known)"
        if figures.cost_usd:
            said += f"; {money(figures.cost_usd)} for the others"
    else:
        said = money(figures.cost_usd)
    if summary.unusable_cost and summary.unusable_share is not None:
        answers = summary.figures.outcomes.get(Outcome.OUTPUT, 0)
        said += (
            f", {money(summary.unusable_cost)} of it ({summary.unusable_share:.0%}) for {answers:,} unusable answers"
        )
    if total.calls > figures.calls:
        said += f" this time, {money(total.cost_usd)} for the whole run"
    return said


def saving_line(saving: Saving) -> str:
    """Who did the tasks, what that saved, and what quality is to be expected of it."""
    parts = sorted(saving.share.items(), key=lambda item: -item[1])
    said = ", ".join(f"{part:.0%} of the tasks on {name}" for name, part in parts[:4])
    if saving.saved is not None:
        less = "less" if saving.saved >= 0 else "more"
        said += f"; {abs(saving.saved):.0%} {less} than {saving.strongest} for everything would have cost"
    if saving.quality_kept is not None:
        said += f"; {saving.quality_kept:.1%} of its quality is expected (model {saving.file})"
    return said


def _triage_line(summary: Summary) -> str:
    """What the classifier was asked, and what of the cost that was."""
    asked = summary.asked
    said = f"the classifier was asked about {asked.asked:,} tasks"
    if summary.from_cache:
        said += f" and knew {summary.from_cache:,} from before"
    silent = [(asked.abstained, "it would not say"), (asked.unheard, "had no answer in time and took their safe route")]
    said += "".join(f", {n:,} {what}" for n, what in silent if n)
    return f"{said}; {money(asked.cost_usd)} of the cost"


def _path_lines(paths: Paths) -> list[str]:
    """What a flow's time was made of, on the mean of those that ended well."""
    of = f"of {paths.flows:,} flows" if paths.flows > 1 else "of one flow"
    lines = [f"  path     {duration(paths.seconds)} from a flow's first step to its end, mean {of}; of that"]
    for name, one in [*paths.by_type.items()][:PATH_ROWS]:
        queued = f" after {duration(one.queued_s)} in the queue" if one.queued_s >= LEAST_SHARE * paths.seconds else ""
        calls = f", {duration(one.called_s)} of it in calls" if 0 < one.called_s < MOSTLY * one.ran_s else ""
        lines.append(f"           {duration(one.ran_s)} {name}{calls}{queued}")
    if paths.own_s >= LEAST_SHARE * paths.seconds:
        lines.append(
            f"           {duration(paths.own_s)} in the flow itself: its own steps, waits for events and times"
        )
    if paths.held_s >= HELD_SHARE * paths.seconds:
        lines.append(
            "           most of it waits for limits: higher ones, or fewer flows at once, make each of them faster"
        )
    return lines


def _outcomes(summary: Summary) -> str:
    names = {
        "rate_limited": "refused (429)",
        "transient": "failed in passing",
        "output": "unusable answers",
        "escalated": "weak answers",
        "lost": "lost",
    }
    if timeouts := summary.figures.timeouts:
        names["transient"] += f" ({timeouts:,} of them not answered in time)"
    found = [f"{n:,} {names.get(name, name)}" for name, n in sorted(summary.figures.outcomes.items()) if name != "ok"]
    return ", ".join(found) or "after earlier ones"


def _table(table_type: type[Table], title: str, groups: tuple[GroupFigures, ...]) -> Table:
    from rich import box

    table = table_type(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    for name in ("tasks", "failed", "p50", "p95", "cost"):
        table.add_column(name, justify="right")
    for group in groups[:ROWS]:
        table.add_row(
            group.name or "(Python)",
            f"{group.tasks:,}",
            f"{group.failed:,}",
            "" if group.p50_s is None else duration(group.p50_s),
            "" if group.p95_s is None else duration(group.p95_s),
            money(group.cost_usd),
        )
    return table


def _stopped(summary: Summary) -> str:
    words = {
        StopReason.BUDGET: f"stopped: {summary.stop.message}",
        StopReason.PRICE: f"stopped: {summary.stop.message}",
        StopReason.ACCOUNT: f"stopped: {summary.stop.message}; when that is mended, the same command goes on",
        StopReason.LIMIT: f"stopped: {summary.stop.message}; then the same command goes on",
        StopReason.UNREACHABLE: f"stopped: {summary.stop.message}; the same command goes on",
        StopReason.INTERRUPTED: "interrupted; the same command goes on",
        StopReason.DRAINED: "drained: somebody told its worker to end; the same command goes on",
        StopReason.STORE: f"stopped: {summary.stop.message}; the same command goes on",
        StopReason.DONE: "",
    }
    return words[summary.stop.reason]
