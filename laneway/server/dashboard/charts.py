"""Charts as SVG, each with a text that says the same. Colours are the style sheet's."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDE, HIGH = 300, 60
TRACK = '<rect class="track" width="100" height="6"/>'


def sparkline(series: Sequence[tuple[str, Sequence[float]]], said: str) -> Markup:
    """Areas on top of one another, the first at the bottom. ``series``: (CSS class, values), all of one length."""
    length = max((len(values) for _, values in series), default=0)
    base = [0.0] * length
    top = max((sum(values[i] for _, values in series) for i in range(length)), default=0.0) or 1.0
    areas = []
    for name, values in series:
        upper = [low + value for low, value in zip(base, values, strict=True)]
        there = [_point(i, value, length, top) for i, value in enumerate(upper)]
        back = [_point(i, value, length, top) for i, value in reversed(list(enumerate(base)))]
        areas.append(f'<path class="{escape(name)}" d="M{" L".join(there + back)} Z"/>')
        base = upper
    return _drawing("spark", said, f"0 0 {WIDE} {HIGH}", "".join(areas))


def meter(share: float, said: str, kind: str = "") -> Markup:
    """How full something is, 0 to 1. ``kind``: a CSS class besides; high shares are marked as such by themselves."""
    width = 100 * min(1.0, max(0.0, share))
    level = kind or ("full" if share >= 0.995 else "high" if share >= 0.8 else "")
    bar = (
        f'<rect class="track" width="100" height="6" rx="1"/><rect class="fill" width="{width:.1f}" height="6" rx="1"/>'
    )
    return _drawing(f"meter {level}".strip(), said, "0 0 100 6", bar)


def stack(parts: Sequence[tuple[str, float]], said: str) -> Markup:
    """One bar, divided. ``parts``: (CSS class, value)."""
    whole = sum(value for _, value in parts) or 1.0
    bars, at = [TRACK], 0.0
    for name, value in parts:
        width = 100 * value / whole
        bars.append(f'<rect class="{escape(name)}" x="{at:.2f}" width="{width:.2f}" height="6"/>')
        at += width
    return _drawing("meter stack", said, "0 0 100 6", "".join(bars))


def columns(values: Sequence[float], said: str, kind: str = "plain") -> Markup:
    """A histogram: one column for each value."""
    top = max(values, default=0.0) or 1.0
    step = WIDE / max(1, len(values))
    bars = [
        f'<rect class="{escape(kind)}" x="{i * step:.1f}" y="{HIGH * (1 - value / top):.1f}"'
        f' width="{max(1.0, step - 1.5):.1f}" height="{HIGH * value / top:.1f}"/>'
        for i, value in enumerate(values)
        if value
    ]
    return _drawing("spark", said, f"0 0 {WIDE} {HIGH}", "".join(bars))


def _point(i: int, value: float, length: int, top: float) -> str:
    return f"{WIDE * i / max(1, length - 1):.1f},{HIGH * (1 - value / top):.1f}"


def _drawing(kind: str, said: str, box: str, inside: str) -> Markup:
    return Markup(  # noqa: S704 - what comes from outside is escaped here
        f'<svg class="{kind}" viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{escape(said)}">'
        f"<title>{escape(said)}</title>{inside}</svg>"
    )
