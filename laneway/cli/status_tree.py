"""``laneway status RUN --tree``: flows with all that they began."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any

from laneway.cli.common import print_json, run_async
from laneway.errors import UsageError

if TYPE_CHECKING:
    from laneway.app.flows.trees import Branch
    from laneway.config.models import Config

FLOWS = 20  # of a run that are shown


def show_tree(config: Config, place: str | None, what: list[str], *, as_json: bool) -> None:
    """Raises NotFoundError, UsageError."""
    if not what:
        raise UsageError("--tree of what?", hint="give a run's number, or flow and its id: `laneway status 3 --tree`")
    trees, total, run_id = run_async(_trees(config, place, what), brief=True)
    now = time.time()
    if as_json:
        said: dict[str, Any] = {"run_id": run_id, "flows": total, "trees": [tree.as_json(now) for tree in trees]}
        print_json(said)
        return
    from laneway.cli.flow_text import tree_lines

    lines = tree_lines(trees, now, left_out=total - len(trees))
    sys.stdout.write("\n".join(lines) + "\n")


async def _trees(config: Config, place: str | None, what: list[str]) -> tuple[list[Branch], int, int]:
    """The flows, how many there are in all, and their run."""
    from laneway.app.flows.trees import grown
    from laneway.app.settings import configured_store
    from laneway.cli.flow_refs import meant
    from laneway.store.runs import Run
    from laneway.task import is_flow

    store = configured_store(place, config, os.environ)
    try:
        found = await meant(store, what)
        if not isinstance(found, Run):
            return grown(await store.trees([found.id])), 1, found.run_id
        ids = await store.flows(found.id, FLOWS)
        place_of = {id_: at for at, id_ in enumerate(ids)}
        trees = sorted(grown(await store.trees(ids)), key=lambda tree: place_of[tree.node.task_id])
        total = sum(sum(cell.counts.values()) for cell in await store.tally(found.id) if is_flow(cell.model))
        return trees, total, found.id
    finally:
        await store.close()
