"""``laneway pause``, ``resume``: what a person decides about work under way."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway

TaskArgument = Annotated[str, typer.Argument(help="A task's id or key.", metavar="TASK")]
PlacesArgument = Annotated[
    list[str], typer.Argument(help="lane NAME, account NAME, run NUMBER; or lane:NAME …", metavar="WHAT")
]


def register(app: typer.Typer) -> None:
    app.command("pause")(pause)
    app.command("resume")(resume)
    app.command("cancel")(cancel)
    app.command("retry")(retry)


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
    task: TaskArgument,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Cancel a task; one that runs is not tried again."""
    _change(application(config, store, verbose), task, "cancel", as_json)


def retry(
    task: TaskArgument,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Queue a failed or cancelled task again."""
    _change(application(config, store, verbose), task, "retry", as_json)


def _change(lw: Laneway, ref: str, verb: str, as_json: bool) -> None:
    async def change() -> tuple[int, int]:
        try:
            task = await lw.store.find_task(ref)
            do = lw.store.cancel if verb == "cancel" else lw.store.retry
            return task.id, await do([task.id], lw.clock.now())
        finally:
            await lw.close()

    task_id, changed = run_async(change())
    if as_json:
        print_json({"task": task_id, "changed": changed})
    else:
        sys.stdout.write(f"task {task_id}: {'done' if changed else f'nothing to {verb}'}\n")
