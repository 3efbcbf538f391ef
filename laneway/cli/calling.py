"""``--flow NAME`` and ``--type NAME`` where it is a Python task: the app's function is called with each record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from laneway.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from laneway.app.laneway import Laneway
    from laneway.intake.options import RecordType


def app_of(lw: Laneway, app: str | None, store: str | None) -> Laneway:
    """The Laneway object of the app, with this command's config and store. Raises UsageError when there is no app."""
    from laneway.cli.worker import load_app

    reference = app or lw.config.app
    if reference is None:
        raise UsageError(
            "flows and Python tasks need an app", hint='give --app module:name, or app = "module:name" in laneway.toml'
        )
    found = load_app(reference, lw.config.folder)
    if found is not lw:
        found.use_config(lw.config)
        if store is not None:
            found.use_store(store)
    return found


def calls_of(
    lw: Laneway,
    flow: str | None,
    type_: str | None,
    prompt: Path | None,
    model: str | None,
    app: str | None,
    store: str | None,
    *,
    triage: bool,
) -> tuple[Laneway, RecordType | None]:
    """The application to go on with, and what is to be called with each record: None where a prompt type is meant.
    Raises NotFoundError, UsageError."""
    from laneway.app.python.records import Calls

    if flow is None:
        if type_ is None or prompt is not None or type_ in lw.config.prompt_types or not (app or lw.config.app):
            return lw, None
        lw = app_of(lw, app, store)
        return lw, Calls(lw, lw.python.find(type_)) if type_ in lw.python.names else None
    if extra := [name for name, given in (("--type", type_), ("--prompt", prompt)) if given is not None]:
        raise UsageError(f"--flow and {extra[0]}", hint="a flow says itself what it asks")
    if model is not None or triage:
        raise UsageError("--flow chooses its models itself", hint="leave --model and --triage out")
    lw = app_of(lw, app, store)
    flows = [name for name in lw.python.names if lw.python.find(name).is_flow]
    if flow not in lw.python.names:
        raise NotFoundError(
            f"the app has no flow {flow!r}", hint=f"it has: {', '.join(flows) or 'none'}; decorate one with @lw.flow"
        )
    function = lw.python.find(flow)
    if not function.is_flow:
        raise UsageError(f"{flow} is a task, not a flow", hint=f"give --type {flow}")
    return lw, Calls(lw, function)
