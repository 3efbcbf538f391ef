"""The report of a choice among models, for people."""

from __future__ import annotations

import math
from collections.abc import Sequence

from laneway.learning.verdict import Range, Report

_UNITS = {
    "usd": "costs in USD",
    "relative": "costs as you stated them",
    "calls": "the table has no costs: a call of the better model counts 1, of the other 0. Add columns cost:NAME (USD"
    " for the task), or --cost NAME=… for each model",
}


def report_text(report: Report) -> str:
    table = report.table
    seen = f"{report.tested:,} tasks, each judged by a model that had not seen it (learnt from {report.learnt_from:,})"
    lines = [seen, _UNITS[table.unit], ""]
    for at in sorted(range(len(table.models)), key=lambda at: table.costs[at]):
        name = table.models[at]
        mark = "the strongest" if name == report.strongest else "the cheapest" if name == report.cheapest else ""
        share = f"{report.share[name]:4.0%} of the tasks"
        lines.append(
            f"  {name:<24} quality {table.means[at]:.3f}   cost {_money(table.costs[at])}   {share}   {mark}".rstrip()
        )
    lines += ["", report.why, ""]
    lines += _levels(report)
    lines += ["", *_compared(report), "", *_triage(report)]
    return "\n".join(lines) + "\n"


def _levels(report: Report) -> list[str]:
    lines = [f"  {'wanted quality':<24} {'cost saved':>22} {'quality kept':>24}"]
    for level, kept in report.levels.items():
        name = f"{level * 100:g}"
        saved, quality = report.intervals[f"saved {name}"], report.intervals[f"quality_kept {name}"]
        of = f"{name} % of {report.strongest}"
        lines.append(f"  {of:<24} {_part(kept.saved, saved):>22} {_part(kept.quality_kept, quality):>24}")
    return lines


def _compared(report: Report) -> list[str]:
    floor = f"{report.floor * 100:g} %"
    names = {
        "all_strong": f"{report.strongest} for everything",
        "all_cheap": f"{report.cheapest} for everything",
        "best_single": f"one model that keeps {floor}",
        "type_mean": "by the task's type alone",
        "random": f"at random, keeping {floor}",
    }
    lines = [f"  {f'compared at {floor}':<36} {'cost saved':>10} {'quality kept':>14}"]
    lines.append(f"  {'learned':<36} {report.at_floor.saved:>10.1%} {report.at_floor.quality_kept:>14.1%}")
    for name, said in names.items():
        if (base := report.baselines.get(name)) is not None:
            if name == "best_single":
                said += f": {base['model']}"
            lines.append(f"  {said:<36} {_per_cent(base['saved']):>10} {_per_cent(base['quality_kept']):>14}")
    return lines


def _triage(report: Report) -> list[str]:
    pair = f"between {report.strongest} and {report.cheapest}"
    told = [
        (report.triaged.under, "undertriage: of the tasks that need the strongest, sent to a model that fails them"),
        (report.triaged.over, "overtriage: of the tasks that the cheapest does as well, sent to a dearer one"),
        (report.recovered.cpt50, f"CPT50: calls of the strongest that close half of the gap {pair}"),
        (report.recovered.cpt80, "CPT80: that close 80 % of it"),
    ]
    lines = [f"  {_per_cent(value):>6}  {text}" for value, text in told]
    apgr = report.intervals.get("apgr")
    if apgr is not None:
        between = f"between {apgr.low:.3f} and {apgr.high:.3f}"
        lines.append(
            f"  {report.recovered.apgr:>6.3f}  APGR ({between}): part of the gap closed on average; 0.5 is chance"
        )
    return [*lines, f"  {report.aiq:>6.3f}  AIQ: quality on average over all budgets"]


def _part(value: float, between: Range) -> str:
    return f"{value:.1%} ({between.low:.1%} to {between.high:.1%})"


def _per_cent(value: float | str | None) -> str:
    return f"{round(value, 3) + 0.0:.1%}" if isinstance(value, float) and not math.isnan(value) else "-"


def _money(value: float) -> str:
    return f"{value:.3g}"


def next_steps(report: Report, path: str, known: Sequence[str]) -> str:
    """After training. ``known``: models of the table that the config has."""
    if report.use is not None:
        return f'nothing to route: set model = "{report.use}" under [defaults] or for the type\n'
    lines = ["in laneway.toml:", "  [triage]", f'  model = "{path}"', f"  quality_floor = {report.floor:g}"]
    missing = [name for name in report.table.models if name not in known]
    if missing:
        lines.append(f"and a section [models.NAME] for {', '.join(missing)} (by its name or its provider's id)")
    return "\n".join(lines) + "\n"
