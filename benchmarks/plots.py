"""Two small plots as SVG, without a dependency: values as dots on one scale, and series over time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

COLOURS = ("#1f5fbf", "#d1661f", "#2f8f5b", "#8a4fb5", "#b53f5a")
GREY, PALE = "#5c6470", "#e3e6ea"
FONT = "font-family='system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'"
ROW, LEFT, RIGHT = 26, 130, 40


@dataclass(frozen=True, slots=True)
class Dot:
    """``hollow``: with a reservation."""

    value: float
    hollow: bool = False


def dots(title: str, rows: Mapping[str, Mapping[str, Dot]], axis: str, hollow: str = "") -> str:
    """One line for each row, one dot for each series, on a logarithmic scale that begins at 1. ``hollow``: what such a
    dot means."""
    series = list(dict.fromkeys(name for row in rows.values() for name in row))
    values = [dot.value for row in rows.values() for dot in row.values()]
    most = max([1.5, *values]) * 1.08
    width, top = 760, 74
    height = top + ROW * len(rows) + 44

    def x(value: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * math.log(max(value, 0.97) / 0.97) / math.log(most / 0.97)

    drawn = [_text(12, 24, title, 15, weight="600"), *_legend(series, 12, 46, hollow)]
    bottom = top + ROW * len(rows)
    for tick in _ticks(most):
        drawn.append(f"<line x1='{x(tick):.1f}' x2='{x(tick):.1f}' y1='{top - 8}' y2='{bottom}' stroke='{PALE}'/>")
        drawn.append(_text(x(tick), bottom + 16, f"{tick:g}", 11, GREY, "middle"))
    drawn.append(_text(LEFT, bottom + 34, axis, 11, GREY))
    for i, (name, row) in enumerate(rows.items()):
        y = top + ROW * i + 8
        drawn.append(_text(LEFT - 12, y + 4, name, 12, "#222", "end"))
        drawn.append(f"<line x1='{LEFT}' x2='{width - RIGHT}' y1='{y}' y2='{y}' stroke='{PALE}'/>")
        for j, label in reversed(list(enumerate(series))):
            if (dot := row.get(label)) is None:
                continue
            fill = "white" if dot.hollow else COLOURS[j % len(COLOURS)]
            drawn.append(f"<circle cx='{x(dot.value):.1f}' cy='{y}' r='5.5' fill='{fill}' "
                         f"stroke='{COLOURS[j % len(COLOURS)]}' stroke-width='1.8'/>")  # fmt: skip
    return _svg(width, height, drawn)


def lines(title: str, panels: Mapping[str, Mapping[str, Sequence[float]]], axis: str, dashed: str = "") -> str:
    """Small panels side by side, two in a row: each series one value a second, from second 0. ``dashed``: the series
    that is a bound and drawn in grey."""
    series = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    solid = [name for name in series if name != dashed]
    wide, high, gap = 325, 150, 36
    height = 66 + (high + gap) * math.ceil(len(panels) / 2)
    drawn = [_text(12, 24, title, 15, weight="600"), *_legend(solid, 12, 46, dashed=dashed)]
    for i, (name, panel) in enumerate(panels.items()):
        left, top = 44 + (i % 2) * (wide + 46), 84 + (i // 2) * (high + gap)
        longest = max([2, *map(len, panel.values())])
        most = max([1.0, *(max(values, default=0) for values in panel.values())])
        drawn.append(_text(left, top - 8, name, 12, "#222", weight="600"))
        drawn.append(f"<path d='M{left} {top} V{top + high - 20} H{left + wide}' fill='none' stroke='{GREY}'/>")
        drawn.append(_text(left - 4, top + 8, f"{most:g}", 10, GREY, "end"))
        drawn.append(_text(left + wide, top + high - 6, f"{longest - 1} s", 10, GREY, "end"))
        for label, values in sorted(panel.items(), key=lambda entry: entry[0] != dashed):
            points = " ".join(
                f"{left + wide * at / (longest - 1):.1f},{top + (high - 20) * (1 - value / most):.1f}"
                for at, value in enumerate(values)
            )
            look = f"stroke='{GREY}' stroke-dasharray='4 3'" if label == dashed else ""
            look = look or f"stroke='{COLOURS[solid.index(label) % len(COLOURS)]}'"
            drawn.append(f"<polyline points='{points}' fill='none' stroke-width='1.6' {look}/>")
    drawn.append(_text(44, height - 8, axis, 11, GREY))
    return _svg(760, height, drawn)


def _ticks(most: float) -> list[float]:
    """Round values of a logarithmic scale from 1."""
    steps = [1, 1.05, 1.1, 1.2, 1.4] if most < 2 else [1, 1.2, 1.5, 2, 3, 4, 5, 7, 10, 20, 50, 100]
    return [step for step in steps if step <= most]


def _legend(series: Sequence[str], left: float, y: float, hollow: str = "", dashed: str = "") -> list[str]:
    drawn = []
    for j, name in enumerate(series):
        drawn.append(f"<circle cx='{left + 6}' cy='{y - 4}' r='5' fill='{COLOURS[j % len(COLOURS)]}'/>")
        drawn.append(_text(left + 16, y, name, 12, "#222"))
        left += 34 + 6.6 * len(name)
    if hollow:
        drawn.append(f"<circle cx='{left + 6}' cy='{y - 4}' r='5' fill='white' stroke='{GREY}' stroke-width='1.8'/>")
        drawn.append(_text(left + 16, y, hollow, 12, GREY))
    if dashed:
        drawn.append(f"<line x1='{left}' x2='{left + 18}' y1='{y - 4}' y2='{y - 4}' stroke='{GREY}' "
                     "stroke-width='1.6' stroke-dasharray='4 3'/>")  # fmt: skip
        drawn.append(_text(left + 24, y, dashed, 12, GREY))
    return drawn


def _text(
    x: float, y: float, words: str, size: int, colour: str = "#222", anchor: str = "start", weight: str = "400"
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' fill='{colour}' text-anchor='{anchor}' "
        f"font-weight='{weight}' {FONT}>{escape(words)}</text>"
    )


def _svg(width: int, height: int, drawn: Sequence[str]) -> str:
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}' width='{width}' height='{height}'>"
    return "\n".join([head, f"<rect width='{width}' height='{height}' fill='white'/>", *drawn, "</svg>", ""])
