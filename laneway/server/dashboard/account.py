"""One account: its limits, set by hand where they have to be lower, and how they changed."""

from __future__ import annotations

from laneway.app.views import accounts
from laneway.errors import NotFoundError
from laneway.server.dashboard.accounts import pause, resume
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.dashboard.setting import change, settings_of
from laneway.store.steering import PauseKind


async def figures(asked: Asked) -> Figures:
    name = asked.place["name"]
    account = next((one for one in await accounts(asked.lw, asked.team) if one.name == name), None)
    if account is None:
        raise NotFoundError(f"there is no account {name!r}")
    return {
        "title": f"Account {name}",
        "account": account,
        "settings": await settings_of(asked, PauseKind.ACCOUNT, name),
        "steers": asked.caller.steers_shared,
    }


async def set_(asked: Asked) -> str:
    name = asked.place["name"]
    await change(asked, PauseKind.ACCOUNT, name)
    return f"The limits of account {name} are set: all workers go by them within a second."


ACCOUNT = Page(
    "/accounts/{name:path}",
    "Account",
    "account.html",
    figures,
    (Deed("pause", pause, True), Deed("resume", resume, True), Deed("limits", set_, True)),
    under="/accounts",
)
