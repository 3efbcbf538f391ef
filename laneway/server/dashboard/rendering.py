"""Templates: everything that comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from laneway.server.dashboard import charts, limits, words
from laneway.server.dashboard.assets import asset
from laneway.server.dashboard.menu import MENU

FOLDER = Path(__file__).parent / "templates"
FILTERS = (
    words.number,
    words.money,
    words.percent,
    words.span,
    words.ago,
    words.ahead,
    words.clock,
    words.iso,
    words.short_path,
    words.quoted,
    charts.less,
    words.capitalize_first,
    limits.limit_name,
    limits.limit_said,
    limits.limit_source,
)
CHARTS = (charts.columns, charts.meter, charts.stack)


def render(template: str, values: Mapping[str, Any]) -> str:
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update({one.__name__: one for one in FILTERS})
    made.globals.update({one.__name__: one for one in CHARTS})
    made.globals.update(asset=asset, plural=words.plural, menu=MENU)
    return made
