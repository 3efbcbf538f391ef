from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.common import machine
from benchmarks.plots import COLOURS, Dot, dots, lines
from benchmarks.report import write

SVG = "{http://www.w3.org/2000/svg}"


def circles(svg: str) -> dict[str, list[float]]:
    """Where the dots of each fill are, on the rows below the legend."""
    found: dict[str, list[float]] = {}
    for one in ElementTree.fromstring(svg).iter(f"{SVG}circle"):
        if float(one.attrib["cy"]) > 60:
            found.setdefault(one.attrib["fill"], []).append(float(one.attrib["cx"]))
    return found


def mix(name: str, **more: Any) -> dict[str, Any]:
    told = {"mix": name, "about": "a | b", "tasks": 100, "ideal_s": 10.0, "seconds": 10.3, "ratio": 1.03}
    told |= {"wall_s": 11.0, "rate_limited": 0, "failed": 0, "per_second": [5, 5], "ideal_per_second": [6, 4]}
    return {**told, "peers": {}, **more}


def said(*mixes: dict[str, Any], **peers: Any) -> dict[str, Any]:
    told = {"benchmark": "makespan", **machine(), "worst_ratio": 1.03, "rate_limited": 0, "measured": "so"}
    return {**told, "mixes": list(mixes), "peers": peers}


def test_dots_stand_in_the_order_of_their_values_and_hollow_ones_are_white() -> None:
    svg = dots("A & B", {"one": {"a": Dot(1.0), "b": Dot(3.0)}, "two": {"a": Dot(2.0), "b": Dot(4.0, True)}}, "ratio")
    found = circles(svg)
    ours, theirs, white = sorted(found[COLOURS[0]]), found[COLOURS[1]], found["white"]
    assert ours[0] < ours[1] < theirs[0] < white[0] < 760


def test_lines_draw_every_series_of_every_panel() -> None:
    svg = lines("t", {"x": {"ideal": [0, 2, 4], "laneway": [0, 1, 4]}, "y": {"laneway": [0, 1]}}, "s", dashed="ideal")
    drawn = list(ElementTree.fromstring(svg).iter(f"{SVG}polyline"))
    assert len(drawn) == 3
    assert sum("stroke-dasharray" in one.attrib for one in drawn) == 1


def test_a_makespan_report_has_its_plots_beside_it(tmp_path: Path) -> None:
    peer = {"seconds": 55.0, "ratio_per_answer": 6.9, "rate_limited": 7, "calls": 90, "failed": 20, "stopped": True}
    told = said(mix("requests", peers={"gather": peer}), versions={"openai": "3"}, gather={"about": "a semaphore"})
    write(tmp_path / "r" / "makespan.md", told)
    page = (tmp_path / "r" / "makespan.md").read_text()
    assert "| requests | gather | > 55 | 6.90 | 7 | 90 | 20 |" in page
    assert "a \\| b" in page
    for name in ("makespan-ratio.svg", "makespan-calls.svg"):
        assert f"({name})" in page
        ElementTree.parse(tmp_path / "r" / name)


def test_a_report_says_why_there_are_no_peers(tmp_path: Path) -> None:
    write(tmp_path / "makespan.md", said(mix("requests"), missing="no index"))
    assert "Peers: no index." in (tmp_path / "makespan.md").read_text()


def test_any_other_benchmark_is_a_table_of_its_figures(tmp_path: Path) -> None:
    write(tmp_path / "pace.md", {"benchmark": "pace", **machine(), "ratio": 1.01, "all": list(range(100))})
    page = (tmp_path / "pace.md").read_text()
    assert "| ratio | 1.01 |" in page
    assert "| all | 100 entries |" in page
