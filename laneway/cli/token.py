"""``laneway token``: who may ask `laneway serve`, and for what."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async
from laneway.errors import ConflictError, NotFoundError, UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.store.tokens import Token

NAME = re.compile(r"[A-Za-z0-9][\w.@-]{0,99}")
TAKEN = ("local", "nobody", "LANEWAY_TOKEN")  # what callers without a token of the store are called
CLI = "command line"  # who does it, in the audit log


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        name="token",
        help="Say who may ask `laneway serve`, and for what.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("create")(create)
    group.command("list")(list_)
    group.command("revoke")(revoke)
    app.add_typer(group)


def create(
    name: Annotated[str, typer.Argument(help="What it is called in lists and the audit log.", show_default=False)],
    role: Annotated[str, typer.Option(help="submit: its team's work; operate: pauses, limits, bulk verbs, too.")] = (
        "submit"
    ),
    team: Annotated[
        str | None, typer.Option(help="Sees this team's work only; none: see the docs.", show_default=False)
    ] = None,
    lanes: Annotated[str | None, typer.Option(help="Lanes it may use: a,b; default: all.", show_default=False)] = None,
    urgency: Annotated[str | None, typer.Option(help="The highest it may ask for.", show_default=False)] = None,
    daily_budget: Annotated[
        float | None, typer.Option(min=0, help="USD that its team may spend a day (UTC).", show_default=False)
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Make a token and show it, this once: only a hash of it is kept.

    Clients send it as their API key. Every server of the store knows it within seconds.
    """
    from laneway.server.tokens.secrets import digest_of, new_secret
    from laneway.store.tokens import Deed, Role, Token

    for word in (name, team):
        if word is not None:
            checked_name(word)
    if role not in tuple(Role):
        raise UsageError(f"{role!r} is no role", hint="--role submit or --role operate")
    lw = application(config, store, verbose)
    try:
        highest = None if urgency is None else lw.config.urgency_of(urgency)
    except ValueError as error:
        raise UsageError(str(error), hint="see `laneway token create --help`") from None
    allowed = None if lanes is None else frozenset(lane.strip() for lane in lanes.split(",") if lane.strip())
    secret = new_secret()
    now = lw.clock.now()
    token = Token(name, digest_of(secret), Role(role), team, allowed, highest, daily_budget, now)

    async def add() -> None:
        try:
            if not await lw.store.add_token(token):
                raise ConflictError(f"there is a token {name!r}, or was", hint="choose another name")
            await lw.store.record(Deed(now, CLI, None, "token.create", name, _shown(token)))
        finally:
            await lw.close()

    run_async(add())
    if as_json:
        print_json({"token": secret, **_shown(token)})
    else:
        sys.stdout.write(f"{secret}\n")
        sys.stderr.write("It is shown this once; clients send it as their API key.\n")


def list_(
    revoked: Annotated[bool, typer.Option("--all", help="Those that were revoked, too.")] = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Show the tokens and what they may, never the tokens themselves."""
    found = run_async(_tokens(application(config, store, verbose), revoked))
    if as_json:
        print_json({"tokens": [_shown(token) for token in found]})
        return
    for token in found:
        sys.stdout.write(_line(token) + "\n")
    if not found:
        sys.stdout.write("no tokens: whoever reaches the server on this machine may do everything\n")


def revoke(
    name: Annotated[str, typer.Argument(help="The token's name.", show_default=False)],
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Let a token, and the browsers that logged in with it, in no more: within 5 seconds, on every server.

    What was submitted with it goes on. Its name is not given again.
    """
    from laneway.store.tokens import Deed

    lw = application(config, store, verbose)

    async def end() -> None:
        try:
            if not await lw.store.revoke_token(name, lw.clock.now()):
                raise NotFoundError(f"there is no valid token {name!r}", hint="see `laneway token list`")
            await lw.store.record(Deed(lw.clock.now(), CLI, None, "token.revoke", name))
        finally:
            await lw.close()

    run_async(end())
    if as_json:
        print_json({"revoked": name})
    else:
        sys.stdout.write(f"{name}: revoked\n")


def checked_name(word: str) -> str:
    """Of a token or a team. Raises UsageError."""
    if not NAME.fullmatch(word) or word in TAKEN:
        raise UsageError(
            f"{word!r} cannot be a name here", hint="up to 100 letters, digits and . _ - @, as alice or team-legal"
        )
    return word


async def _tokens(lw: Laneway, revoked: bool) -> list[Token]:
    try:
        return await lw.store.tokens(revoked=revoked)
    finally:
        await lw.close()


def _shown(token: Token) -> dict[str, Any]:
    return {
        "name": token.name,
        "role": token.role.value,
        "team": token.team,
        "lanes": None if token.lanes is None else sorted(token.lanes),
        "urgency": None if token.highest is None else token.highest.label,
        "daily_budget": token.daily_budget,
        "created_at": token.created_at,
        "revoked_at": token.revoked_at,
    }


def _line(token: Token) -> str:
    said = [token.role.value, f"team {token.team}" if token.team else "no team"]
    if token.lanes is not None:
        said.append(f"lanes {', '.join(sorted(token.lanes)) or 'none'}")
    if token.highest is not None:
        said.append(f"up to {token.highest.label}")
    if token.daily_budget is not None:
        said.append(f"${token.daily_budget:,.2f} a day")
    said.append(f"since {time.strftime('%Y-%m-%d', time.localtime(token.created_at))}")
    if token.revoked_at is not None:
        said.append(f"revoked {time.strftime('%Y-%m-%d %H:%M', time.localtime(token.revoked_at))}")
    return f"{token.name:<20} {', '.join(said)}"
