"""Accounts: how full their limits are, how those were found, whether they answer."""

from __future__ import annotations

from laneway.app.views import accounts
from laneway.app.views.accounts import Account
from laneway.server.dashboard.page import Asked, Figures, Page
from laneway.server.dashboard.steered import holding, page_of_one
from laneway.store.steering import PauseKind

MOST = 50  # on a page
CHANGES = 5  # of its limits that are shown


async def account_rows(asked: Asked) -> list[Account]:
    """Those that need somebody first."""
    found = await accounts(asked.lw, asked.team)
    return sorted(found, key=lambda one: (one.failure is None, one.answers, -one.in_flight, one.name))


async def figures(asked: Asked) -> Figures:
    found = await account_rows(asked)
    return {
        "accounts": found[:MOST],
        "hidden": max(0, len(found) - MOST),
        "steers": asked.caller.steers_shared,
        "most_changes": CHANGES,
    }


ACCOUNTS = Page("/accounts", "Accounts", "accounts.html", figures, holding(PauseKind.ACCOUNT))
ACCOUNT = page_of_one(PauseKind.ACCOUNT, accounts)
