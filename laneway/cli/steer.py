"""``laneway pause``, ``resume``, ``cancel``, ``retry``, ``set``: what a person decides about work under way."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli import completing
from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.steering import Verb
    from laneway.store.steering import Change, Extent, Selector

ASKED_ABOVE = 100  # tasks, before a terminal is asked whether all of them are meant

PlacesArgument = Annotated[
    list[str], typer.Argument(help="lane NAME, account NAME, run NUMBER; or lane:NAME …", metavar="WHAT")
]
TasksArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Ids or keys of tasks; or run NUMBER: all of a run.", metavar="[TASK…]", show_default=False),
]
RunOption = Annotated[int | None, typer.Option("--run", help="Only tasks of this run.", show_default=False)]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        help="name=value,…: state, class, code, type, model, lane, urgency, tag, key (with *), run; a|b: either.",
        show_default=False,
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say how many it would be.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("cancel")(cancel)
    app.command("retry")(retry)
    app.command("set")(set_)


def pause(
    what: PlacesArgument,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Hold a lane, an account or a run: nothing new starts there until it is resumed.

    Calls in flight are finished. All workers and runs on this store obey within a second.
    """
    _hold(application(config, store, verbose), what, "paused", as_json)


def resume(
    what: PlacesArgument,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Let a paused lane, account or run go on.

    An account that paused itself after a failure (a wrong key, no credit) is tried again, too.
    """
    _hold(application(config, store, verbose), what, "resumed", as_json)


def _hold(lw: Laneway, words: list[str], done: str, as_json: bool) -> None:
    from laneway.app.steering import check_place, places

    async def change() -> list[dict[str, Any]]:
        try:
            found = places(words)
            for kind, name in found:
                await check_place(lw, kind, name)
            do = lw.store.pause if done == "paused" else lw.store.resume
            return [
                {"kind": kind.value, "name": name, "changed": await do(kind, name, lw.clock.now())}
                for kind, name in found
            ]
        finally:
            await lw.close()

    changes = run_async(change())
    if as_json:
        print_json({done: changes})
        return
    before = "was paused already" if done == "paused" else "was not paused"
    for one in changes:
        sys.stdout.write(f"{one['kind']} {one['name']}: {done if one['changed'] else before}\n")


def cancel(
    tasks: TasksArgument = None,
    run: RunOption = None,
    where: WhereOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Cancel tasks that have not ended: some, those of a run, or all that --where describes.

    A call in flight is finished, since it is paid for: its answer is kept, and without one it is not tried again.
    """
    lw = application(config, store, verbose)
    _steer(lw, "cancel", tasks, run, where, dry_run=dry_run, ask=not (yes or as_json), as_json=as_json)


def retry(
    tasks: TasksArgument = None,
    run: RunOption = None,
    where: WhereOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Queue failed or cancelled tasks again: laneway retry --where class=transient,model=small

    A worker does them, or the same `laneway run` command again.
    """
    lw = application(config, store, verbose)
    _steer(lw, "retry", tasks, run, where, dry_run=dry_run, ask=not (yes or as_json), as_json=as_json)


def set_(
    tasks: TasksArgument = None,
    urgency: Annotated[
        str | None, typer.Option(help="A name or alias.", autocompletion=completing.urgencies, show_default=False)
    ] = None,
    lane: Annotated[
        str | None, typer.Option(help="The lane to go to.", autocompletion=completing.lanes, show_default=False)
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The model to ask.", autocompletion=completing.models, show_default=False)
    ] = None,
    deadline: Annotated[
        str | None, typer.Option(help='18:30, "2026-12-01 18:30", or 2h from now.', show_default=False)
    ] = None,
    run: RunOption = None,
    where: WhereOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Change tasks that have not ended: laneway set 17 --urgency urgent, laneway set run 3 --lane bulk

    What runs keeps its present call; a new model holds from its next try on.
    """
    lw = application(config, store, verbose)
    change = _change(lw, urgency, lane, model, deadline)
    _steer(lw, "set", tasks, run, where, change, dry_run=dry_run, ask=not (yes or as_json), as_json=as_json)


def _change(lw: Laneway, urgency: str | None, lane: str | None, model: str | None, deadline: str | None) -> Change:
    from laneway.app.moments import moment
    from laneway.store.steering import Change
    from laneway.task import Urgency

    if urgency is lane is model is deadline is None:
        raise UsageError("set what?", hint="give --urgency, --lane, --model or --deadline")
    return Change(
        urgency=None if urgency is None else lw.triage.urgency_of(urgency),
        lane=lane,
        model=model,
        deadline=None if deadline is None else moment(deadline, lw.clock.now()),
        target_waits={one: lw.config.target_wait(one) for one in Urgency},
    )


def _steer(
    lw: Laneway,
    word: str,
    tasks: list[str] | None,
    run: int | None,
    where: list[str] | None,
    change: Change | None = None,
    *,
    dry_run: bool,
    ask: bool,
    as_json: bool,
) -> None:
    """Choose, count, ask where it is many, do it, say so."""
    from laneway.app.choosing import choose
    from laneway.app.steering import Verb, carry_out, check_model

    verb = Verb(word)

    async def work() -> tuple[Selector, Extent, int | None]:
        try:
            selector = await choose(lw, tasks or [], run, where or [])
            selector = _narrowed(selector, verb)
            extent = await lw.store.extent(selector)
            if change is not None and change.model is not None and extent.tasks:
                await check_model(lw, change.model, selector, extent)
            if dry_run or (ask and not _meant(verb, extent)):
                return selector, extent, None
            return selector, extent, await carry_out(lw, verb, selector, change)
        finally:
            await lw.close()

    selector, extent, changed = run_async(work())
    states = {state.value: n for state, n in extent.states.items()}
    if as_json:
        print_json({"matched": extent.tasks, "states": states, "changed": changed or 0, "dry_run": dry_run})
    elif selector.ids is not None and len(selector.ids) == 1 and not dry_run:
        sys.stdout.write(f"task {selector.ids[0]}: {'done' if changed else f'nothing to {verb}'}\n")
    elif changed is None:
        sys.stdout.write(f"{_so_many(states)} to {verb}; nothing was changed\n")
    else:
        sys.stdout.write(
            f"{_so_many(states)} to {verb}, {changed:,} done\n" if extent.tasks else f"nothing to {verb}\n"
        )


def _narrowed(selector: Selector, verb: Verb) -> Selector:
    """Only tasks in a state in which there is something to do."""

    asked = selector.states or verb.states
    states = tuple(state for state in asked if state in verb.states)
    if not states:
        names = ", ".join(verb.states)
        raise UsageError(f"there is nothing to {verb} about {', '.join(asked)} tasks", hint=f"it is for: {names}")
    return selector._replace(states=states)


def _meant(verb: Verb, extent: Extent) -> bool:
    """Ask a person at a terminal before many tasks are changed."""
    if extent.tasks <= ASKED_ABOVE or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    states = {state.value: n for state, n in extent.states.items()}
    return typer.confirm(f"{verb} {_so_many(states)}?", err=True)


def _so_many(states: Mapping[str, int]) -> str:
    total = sum(states.values())
    parts = ", ".join(f"{n:,} {state}" for state, n in states.items())
    return f"{total:,} task{'' if total == 1 else 's'}" + (f" ({parts})" if parts else "")
