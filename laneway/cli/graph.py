"""``laneway graph``: flows as a Mermaid flowchart."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, print_json, run_async, settings

if TYPE_CHECKING:
    from laneway.app.flows.graph import Graph
    from laneway.config.models import Config

SAMPLE = 50  # flows of a run from which it is read what comes after what


def register(app: typer.Typer) -> None:
    app.command("graph")(graph)


def graph(
    what: Annotated[
        list[str],
        typer.Argument(
            help="A run's number, a flow's id or key, or a flow's name; or run 3, flow 7.", metavar="RUN|FLOW"
        ),
    ],
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Print flows as a Mermaid flowchart, with their states: one flow with all that it began, or a run by type.

    What points to a task had come in before its flow began it. A flow's name stands for the last one of it.
    """
    loaded, _ = settings(config, verbose)
    drawn = run_async(_drawn(loaded, store, what), brief=True)
    if as_json:
        print_json(drawn.as_json())
    else:
        from laneway.app.flows.graph import mermaid

        sys.stdout.write(mermaid(drawn))


async def _drawn(config: Config, place: str | None, what: list[str]) -> Graph:
    import os

    from laneway.app.flows.graph import of_flow, of_run
    from laneway.app.flows.trees import grown
    from laneway.app.settings import configured_store
    from laneway.cli.flow_refs import meant
    from laneway.store.runs import Run

    store = configured_store(place, config, os.environ)
    try:
        found = await meant(store, what)
        of = await store.flows(found.id, SAMPLE) if isinstance(found, Run) else [found.id]
        trees = grown(await store.trees(of))
        nested = [branch.node.task_id for tree in trees for branch in tree if branch.children]
        past = await store.chronicles(nested)
        if isinstance(found, Run):
            return of_run(await store.shape(found.id), trees, past)
        return of_flow(trees[0], past, time.time())
    finally:
        await store.close()
