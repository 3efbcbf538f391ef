"""Charts as SVG, each with a text that says the same. Colours are the style sheet's."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

WIDE, HIGH = 300, 60
TRACK = '<rect class="track" width="100" height="6"/>'


def columns(series: Sequence[tuple[str, Sequence[float]]], said: str) -> Markup:
    """Columns, parts of one on top of another. ``series``: (CSS class, values), all of one length, the first at the
    bottom."""
    length = max((len(values) for _, values in series), default=0)
    top = max((sum(values[i] for _, values in series) for i in range(length)), default=0.0) or 1.0
    step, base, parts = WIDE / max(1, length), [0.0] * length, []
    for name, values in series:
        for i, value in enumerate(values):
            if value:
                base[i] += value
                place = f'x="{i * step:.1f}" y="{HIGH * (1 - base[i] / top):.1f}"'
                size = f'width="{max(1.0, 0.8 * step):.1f}" height="{HIGH * value / top:.1f}"'
                parts.append(f'<rect class="{escape(name)}" {place} {size}/>')
    return _drawing("spark", said, f"0 0 {WIDE} {HIGH}", "".join(parts))


def less(values: Sequence[float], part: Sequence[float]) -> list[float]:
    """What is left of each without a part of it that is drawn on top."""
    return [max(0.0, whole - some) for whole, some in zip(values, part, strict=True)]


def meter(share: float, said: str, kind: str = "") -> Markup:
    """How full something is, 0 to 1. ``kind``: a CSS class; by itself it marks what is full."""
    width = 100 * min(1.0, max(0.0, share))
    level = kind or ("full" if share >= 0.995 else "")
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


def _drawing(kind: str, said: str, box: str, inside: str) -> Markup:
    return Markup(  # noqa: S704 - what comes from outside is escaped here
        f'<svg class="{kind}" viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{escape(said)}">'
        f"<title>{escape(said)}</title>{inside}</svg>"
    )
