"""All pages, and the way to them."""

from __future__ import annotations

from laneway.server.dashboard.overview import OVERVIEW
from laneway.server.dashboard.page import Page

MENU = (
    ("/", "Overview"),
    ("/lanes", "Lanes"),
    ("/accounts", "Accounts"),
    ("/models", "Models"),
    ("/types", "Types"),
    ("/workers", "Workers"),
    ("/failures", "Failures"),
    ("/runs", "Runs"),
    ("/flows", "Flows"),
    ("/triage", "Triage"),
    ("/audit", "Audit"),
)
PAGES: tuple[Page, ...] = (OVERVIEW,)
