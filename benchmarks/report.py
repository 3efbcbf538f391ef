"""A benchmark's JSON as a page of Markdown for people, its plots beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.plots import Dot, dots, lines

LONGEST = 12  # entries of a list that are shown
MACHINE = ("python", "laneway", "machine", "date")


def write(path: Path, said: Mapping[str, Any]) -> None:
    """``path`` and its SVG files, named after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plots = makespan_plots(said) if said["benchmark"] == "makespan" else {}
    body = makespan_tables(said) if said["benchmark"] == "makespan" else figures(said)
    shown = []
    for name, svg in plots.items():
        file = path.with_name(f"{path.stem}-{name}.svg")
        file.write_text(svg)
        shown.append(f"![{name.replace('-', ' ')}]({file.name})")
    path.write_text("\n\n".join([f"# {said['benchmark']}", measured_on(said), *shown, *body]) + "\n")


def measured_on(said: Mapping[str, Any]) -> str:
    machine = said["machine"]
    return (
        f"Laneway {said['laneway']}, Python {said['python']}, {machine['cpus']} CPUs, {machine['system']}, "
        f"{said['date']}, load before the start {machine['load']}."
    )


def figures(said: Mapping[str, Any]) -> list[str]:
    """Whatever a benchmark says, one line each; what is long is left to the JSON."""
    rows = [(name, _short(value)) for name, value in said.items() if name not in ("benchmark", *MACHINE)]
    return [table(("figure", "value"), rows)]


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > LONGEST:
        return f"{len(value)} entries"
    words = value if isinstance(value, str) else json.dumps(value)
    return words if len(words) <= 200 else "see the JSON"


def makespan_tables(said: Mapping[str, Any]) -> list[str]:
    mixes, beside = said["mixes"], said["peers"]
    ours = [
        (m["mix"], m["about"], m["tasks"], m["ideal_s"], m["seconds"], f"{m['ratio']:.3f}", m["rate_limited"],
         m["failed"], m["wall_s"])
        for m in mixes
    ]  # fmt: skip
    told = [
        f"Worst ratio **{said['worst_ratio']:.3f}**, refused calls (429, by the simulator's count) "
        f"**{said['rate_limited']}**. Time is {said['measured']}; `wall` is the whole command.",
        "## Laneway",
        table(("mix", "what binds", "tasks", "ideal s", "s", "ratio", "429s", "failed", "wall s"), ours),
    ]
    if "missing" in beside:
        return [*told, f"Peers: {beside['missing']}."]
    theirs = [
        (m["mix"], peer, _time(run), f"{run['ratio_per_answer']:.2f}", run["rate_limited"], run["calls"], run["failed"])
        for m in mixes
        for peer, run in m["peers"].items()
    ]
    versions = ", ".join(f"{name} {version}" for name, version in beside["versions"].items())
    about = [f"- **{name}**: {one['about']}" for name, one in beside.items() if name != "versions"]
    return [
        *told,
        "## Peers on the same mixes, in the same run",
        "\n".join(about),
        f"Versions: {versions}. They are told each provider's true limits. One that took longer than four times the "
        "ideal was stopped (`>`); what had no answer by then counts as failed. The ratio is the time for each "
        "answer that it got, over the ideal's.",
        table(("mix", "peer", "s", "ratio", "429s", "calls", "failed"), theirs),
    ]


def _time(run: Mapping[str, Any]) -> str:
    return f"> {run['seconds']:.0f}" if run["stopped"] else f"{run['seconds']:.1f}"


def makespan_plots(said: Mapping[str, Any]) -> dict[str, str]:
    rows, panels = {}, {}
    for mix in said["mixes"]:
        row = {"laneway": Dot(mix["ratio"], bool(mix["failed"]))}
        row |= {peer: Dot(run["ratio_per_answer"], run["failed"] > 0) for peer, run in mix["peers"].items()}
        rows[mix["mix"]] = row
        panels[mix["mix"]] = {"ideal": _summed(mix["ideal_per_second"]), "laneway": _summed(mix["per_second"])}
    title = "Time for each answer, over that of an ideal dispatcher (1 = ideal)"
    peers = any(mix["peers"] for mix in said["mixes"])
    return {
        "ratio": dots(title, rows, "ratio, logarithmic", "some requests failed" if peers else ""),
        "calls": lines("Calls begun, summed over time", panels, "seconds since the first call", dashed="ideal"),
    }


def _summed(counts: Sequence[int]) -> list[float]:
    total, series = 0, [0.0]
    for count in counts:
        total += count
        series.append(float(total))
    return series


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
