"""``laneway plan``: what a run would take, before anything is sent."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from laneway.cli.common import (
    ConfigOption,
    JsonOption,
    StoreOption,
    VerboseOption,
    application,
    print_json,
    run_async,
)
from laneway.cli.input_options import (
    BadInput,
    BadInputOption,
    ConcurrencyOption,
    FreshOption,
    InputArguments,
    LaneOption,
    LimitOption,
    ModelOption,
    OutOption,
    PromptOption,
    SamplesOption,
    TriageOption,
    TypeOption,
    UrgencyOption,
    read_options,
)
from laneway.cli.proposing import proposing

if TYPE_CHECKING:
    from laneway.app.laneway import Laneway
    from laneway.app.runs.batch import BatchOptions
    from laneway.app.runs.plan import Plan


def register(app: typer.Typer) -> None:
    app.command("plan")(plan)


def plan(
    inputs: InputArguments,
    out: OutOption = None,
    type_: TypeOption = None,
    prompt: PromptOption = None,
    model: ModelOption = None,
    lane: LaneOption = None,
    urgency: UrgencyOption = None,
    triage: TriageOption = False,
    concurrency: ConcurrencyOption = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Does it stay within this many USD?", show_default=False)
    ] = None,
    limit: LimitOption = None,
    samples: SamplesOption = 1,
    fresh: FreshOption = False,
    on_bad_input: BadInputOption = BadInput.stop,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """What a run would take: tasks, tokens, money, time, and the limit that binds. Sends and writes nothing.

    Takes the options of `laneway run`. Ranges get narrower with every run: earlier calls say what the next ones take.
    """
    from laneway.app.runs.batch import BatchOptions
    from laneway.app.runs.taking_in import OnBadInput

    lw = application(config, store, verbose)
    read = read_options(
        lw,
        type=type_,
        prompt=prompt,
        model=model,
        lane=lane,
        urgency=urgency,
        triage=triage,
        limit=limit,
        samples=samples,
        also=inputs[1:],
    )
    options = BatchOptions(
        input=inputs[0],
        out=out,
        read=read,
        concurrency=concurrency,
        max_cost=max_cost,
        fresh=fresh,
        on_bad_input=OnBadInput(on_bad_input.value),
    )
    with proposing(inputs, as_json):
        found = run_async(_plan(lw, options))
    given = {
        "-o": out,
        "--type": type_,
        "--prompt": prompt,
        "--model": model,
        "--lane": lane,
        "--urgency": urgency,
        "--triage": triage,
        "--concurrency": concurrency,
        "--max-cost": max_cost,
        "--limit": limit,
        "--samples": None if samples == 1 else samples,
        "--fresh": fresh,
        "--on-bad-input": None if on_bad_input is BadInput.stop else on_bad_input.value,
        "--config": config,
        "--store": store,
    }
    command = run_command(inputs, given)
    if as_json:
        print_json({**found.as_json(), "next": command})
    else:
        from laneway.cli.plan_text import plan_text

        sys.stdout.write(plan_text(found, command))


async def _plan(lw: Laneway, options: BatchOptions) -> Plan:
    from laneway.app.runs.plan import Planner

    try:
        return await Planner(lw, options).plan()
    finally:
        await lw.close()


def run_command(inputs: Sequence[str], given: Mapping[str, object]) -> str:
    """The command that runs what was planned."""
    words = ["laneway", "run", *inputs]
    for flag, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            if one is True:
                words.append(flag)
            elif one is not None and one is not False:
                words += [flag, str(one)]
    return shlex.join(words)
