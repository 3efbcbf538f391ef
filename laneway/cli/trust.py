"""``laneway trust``: the user's word for what a config sends where."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import ConfigOption, JsonOption, print_json, printable
from laneway.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.config.trusted import TrustBook
    from laneway.providers.trust import Need


def register(app: typer.Typer) -> None:
    app.command("trust")(trust)


def trust(
    accounts: Annotated[
        list[str] | None, typer.Argument(help="Trust what these accounts send.", show_default=False)
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Trust all that this config sends, without asking.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Only show it, and what is trusted elsewhere.")] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take the trust back (of these accounts, or all).")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let this config send a key or file to a host that is not its owner's.

    A config may come from somebody else. So a provider's key goes to that provider's own hosts only, and a key file,
    or a file from outside the project, to no unknown host, unless you say once that it may. Another host needs your
    word again.
    """
    from laneway.config.load import load
    from laneway.config.trusted import TrustBook, trust_file
    from laneway.providers.trust import needs

    if list_ and (yes or revoke or accounts):
        raise UsageError("--list only shows", hint="leave out what changes something")
    loaded = load([path.absolute() for path in config or ()], env=os.environ, cwd=Path.cwd())
    book = TrustBook(trust_file(os.environ))
    asked = _of(accounts or [], loaded, needs(loaded, os.environ))
    changed: list[Need] = []
    if revoke:
        changed = [need for need in asked if book.since(need.pairing) is not None]
        stale = [] if accounts else _of_config(book, loaded)
        book.remove([*(need.pairing for need in changed), *stale])
    elif not list_:
        new = [need for need in asked if book.since(need.pairing) is None]
        if new and (yes or accounts or _said_yes(new, as_json)):
            book.add([need.pairing for need in new], time.time())
            changed = new
    _show(asked, book, changed, revoke, list_, as_json)


def _of(accounts: list[str], config: Config, found: list[Need]) -> list[Need]:
    for name in accounts:
        if name not in config.accounts:
            known = f"known: {', '.join(config.accounts)}" if config.accounts else "this config has no [accounts.…]"
            raise NotFoundError(f"there is no account {name!r}", hint=known)
    return [need for need in found if not accounts or need.account in accounts]


def _of_config(book: TrustBook, config: Config) -> list[Any]:
    """What was trusted for this config, also what it does not ask for any more."""
    files = {str(source.resolve()) for source in config.sources}
    return [pairing for pairing in book.entries() if pairing.config in files]


def _said_yes(new: list[Need], as_json: bool) -> bool:
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"{_count(len(new))} your word, and nobody can be asked here: " + "; ".join(map(_words, new)),
            hint="laneway trust --yes, or name the accounts: laneway trust " + new[0].account,
        )
    sys.stderr.write("This config would send\n" + "".join(f"  {_words(need)}\n" for need in new))
    return typer.confirm("Do you want that?", default=False, err=True)


def _count(n: int) -> str:
    return "one thing needs" if n == 1 else f"{n} things need"


def _words(need: Need) -> str:
    return printable(f"{need.said} to {need.pairing.to} (account {need.account})")


def _show(
    asked: list[Need], book: TrustBook, changed: list[Need], revoked: bool, everything: bool, as_json: bool
) -> None:
    if as_json:
        rows = [
            {
                "account": need.account,
                "config": need.pairing.config,
                "sends": need.said,
                "to": need.pairing.to,
                "trusted": book.since(need.pairing) is not None,
            }
            for need in asked
        ]
        data: dict[str, Any] = {"needs": rows, "changed": len(changed), "file": str(book.path)}
        if everything:
            data["trusted"] = [
                {"config": one.config, "sends": one.sends, "to": one.to, "since": since}
                for one, since in book.entries().items()
            ]
        print_json(data)
        return
    lines = []
    for need in asked:
        since = book.since(need.pairing)
        state = "not trusted" if since is None else f"trusted since {time.strftime('%Y-%m-%d', time.localtime(since))}"
        lines.append(f"{_words(need)}: {'no longer trusted' if revoked and need in changed else state}")
    if not asked:
        lines.append("this config sends nothing that needs your word")
    if everything:
        here = {need.pairing for need in asked}
        lines += [
            printable(f"elsewhere: {one.config} sends {one.sends} to {one.to}")
            for one in book.entries()
            if one not in here
        ]
    sys.stdout.write("\n".join(lines) + "\n")
