"""A plan for people."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

from laneway.app.runs.plan import Plan
from laneway.cli.report import ROWS, duration, money
from laneway.planning.expect import Expectation
from laneway.planning.ranges import Range, total

if TYPE_CHECKING:
    from rich.table import Table


def plan_text(plan: Plan, command: str) -> str:
    """The whole plan as text, coloured when stdout is a terminal that wants colour."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    buffer = io.StringIO()
    terminal = sys.stdout.isatty()
    console = Console(file=buffer, force_terminal=terminal, highlight=False, width=None if terminal else 100)
    console.print(Text(_head(plan), style="bold"))
    if plan.to_do:
        console.print(_table(Table, plan))
        for name, words in _sentences(plan):
            console.print(Text(f"  {name:<9}{words}"), soft_wrap=True)
    for note in plan.notes:
        console.print(Padding(Text(f"· {note}"), (0, 0, 0, 2)))
    console.print(Text(_next(plan, command)), soft_wrap=True)
    return buffer.getvalue()


def _head(plan: Plan) -> str:
    said = f"{plan.to_do:,} tasks to do" if plan.to_do else "nothing to do"
    if plan.done:
        said += f", {plan.done:,} done already"
    if plan.deduplicated:
        said += f", {plan.deduplicated:,} lines came before and count once"
    if plan.bad_input:
        said += f", {plan.bad_input:,} bad lines skipped"
    return said


def _table(table_type: type[Table], plan: Plan) -> Table:
    from rich import box

    table = table_type(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("lane", "model", "urgency"):
        table.add_column(name)
    for name in ("tasks", "tokens in", "tokens out", "cost"):
        table.add_column(name, justify="right")
    places: dict[tuple[Any, ...], list[Expectation]] = {}
    for one in plan.estimate.ways:
        places.setdefault((one.way.urgency, one.way.lane, one.way.model), []).append(one)
    rows = sorted(places.items())
    for (urgency, lane, model), ways in rows[:ROWS]:
        costs = [one.cost for one in ways if one.cost is not None]
        table.add_row(
            lane,
            model,
            urgency.label,
            f"{sum(one.tasks for one in ways):,}",
            counts(total(one.input_tokens for one in ways)),
            counts(total(one.output_tokens for one in ways)),
            amounts(total(costs)) if len(costs) == len(ways) else "unknown",
        )
    if len(rows) > ROWS:
        table.add_row(f"… {len(rows) - ROWS:,} more", "", "", "", "", "", "")
    return table


def _sentences(plan: Plan) -> list[tuple[str, str]]:
    found = plan.estimate
    said = [("cost", _cost(plan))]
    if plan.max_cost is not None:
        words = {True: "stays within", False: "does not stay within", None: "may or may not stay within"}[plan.fits]
        said.append(("budget", f"{words} {money(plan.max_cost)}"))
    bound = f"held by {found.bound_by}" if found.bound_by else "no limit holds it; the calls themselves take the time"
    said.append(("time", f"{times(found.seconds)}; {bound}"))
    alone = Range(*map(max, zip(_ends(found.sequential_s), _ends(found.seconds), strict=True)))
    said.append(("instead", f"{times(alone)}, one call after the other"))
    if plan.saved is not None and plan.strongest is not None and plan.saved.high > 0:
        all_strong = plan.strongest_cost or plan.saved
        said.append(
            (
                "",
                f"{amounts(all_strong)} with everything on {plan.strongest.name}: saves {amounts(plan.saved)}",
            )
        )
    return said


def _cost(plan: Plan) -> str:
    found = plan.estimate
    if found.cost is not None:
        return amounts(found.cost)
    known = f"; {amounts(found.cost_known)} for the other models" if found.cost_known.high else ""
    return f"unknown: there is no price for {', '.join(found.unpriced)}{known}"


def _next(plan: Plan, command: str) -> str:
    lines = [f"next: {command}"]
    new = any(one.past is None for one in plan.estimate.ways)
    if new and plan.to_do > 50 and "--limit" not in command:
        lines.append(f"  or: {command} --limit 20, then plan again: what these take says what the others will")
    return "\n".join(lines)


def counts(range: Range) -> str:
    low, high = _short(range.low), _short(range.high)
    return low if low == high else f"{low} to {high}"


def amounts(range: Range) -> str:
    low, high = money(range.low), money(range.high)
    return low if low == high else f"{low} to {high}"


def times(range: Range) -> str:
    low, high = duration(range.low), duration(range.high)
    return low if low == high else f"{low} to {high}"


def _ends(range: Range) -> tuple[float, float]:
    return range.low, range.high


def _short(number: float) -> str:
    """``950``, ``12,000``, ``4.1 M``: two digits say enough of an estimate."""
    if number >= 1e6:
        return f"{number / 1e6:,.1f} M"
    return f"{round(number, -max(0, len(str(int(number))) - 2)):,.0f}"
