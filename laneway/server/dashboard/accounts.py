"""Accounts: how full their limits are, how those were found, whether they answer; pausing."""

from __future__ import annotations

from laneway.app.views import accounts
from laneway.app.views.accounts import Account
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.holding import hold
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


async def pause(asked: Asked) -> str:
    name = asked.form.get("name", "")
    await hold(asked.lw, asked.audit, asked.caller, PauseKind.ACCOUNT, name, paused=True)
    return f"Account {name} is paused: no new call is made until it is resumed."


async def resume(asked: Asked) -> str:
    name = asked.form.get("name", "")
    await hold(asked.lw, asked.audit, asked.caller, PauseKind.ACCOUNT, name, paused=False)
    return f"Account {name} goes on."


ACCOUNTS = Page(
    "/accounts", "Accounts", "accounts.html", figures, (Deed("pause", pause, True), Deed("resume", resume, True))
)
