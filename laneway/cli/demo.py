"""``laneway demo``: the whole way on shipped tasks, against the simulator, without a key."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from laneway.cli.common import JsonOption, VerboseOption, command_name, process_started, run_async


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    folder: Annotated[Path, typer.Option(help="Where the example and its results go.")] = Path("laneway-demo"),
    latency: Annotated[float, typer.Option(min=0, help="Seconds that a simulated call takes.")] = 0.6,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Run the example on a simulated provider, without a key.

    324 tasks; nothing to set up, nothing to pay. The example's files are copied into a folder of their own, to look at
    and to change.
    """
    started = process_started()
    from laneway.app.laneway import Laneway
    from laneway.app.runs.batch import BatchOptions
    from laneway.cli.run import execute, report
    from laneway.config.load import load
    from laneway.logs import configure
    from laneway.simulator.process import SimulatorProcess

    configure(verbose)
    copy_example(folder)
    sys.stderr.write(_words(folder))
    with SimulatorProcess(latency=latency, spread=0.4, models=folder / "models.toml", seed=7) as simulator:
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LANEWAY_")},
            "LANEWAY_ACCOUNTS__PRACTICE__BASE_URL": simulator.url,
            "LANEWAY_DEMO_KEY": "sk-simulated",
        }
        lw = Laneway(load([folder.absolute() / "laneway.toml"], env=env, cwd=folder.absolute()), env=env)
        options = BatchOptions(input=str(folder / "tasks.jsonl"), out=folder / "results.jsonl", fresh=True)
        summary = run_async(execute(lw, options, started))
    report(summary, as_json)
    sys.stderr.write(_next_steps(folder))
    raise SystemExit(summary.exit_code)


def copy_example(folder: Path) -> None:
    """Put the shipped example into ``folder``; files that are there already stay as they are."""
    with resources.as_file(resources.files("laneway") / "examples" / "demo") as source:
        for file in sorted(source.rglob("*")):
            target = folder / file.relative_to(source)
            if file.is_dir() or target.exists() or file.suffix == ".pyc":
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def _words(folder: Path) -> str:
    lines = [
        "The answers in this demo are simulated: a practice provider on this machine makes them up.",
        f"The tasks, prompts and rules are real files in {folder}/.",
    ]
    if found := run_async(_real_providers()):
        lines.append(f"Found: {', '.join(found)}. {folder}/README.md says how to run the same tasks there.")
    return "\n".join(lines) + "\n\n"


async def _real_providers() -> list[str]:
    """Keys in the environment and model servers on this machine that could be used instead."""
    from laneway.setup.surroundings import on_this_machine, with_keys

    return [one.told for one in (*with_keys(os.environ), *await on_this_machine(os.environ))]


def _next_steps(folder: Path) -> str:
    command = command_name()
    return (
        "\nNext:\n"
        f"  {command} explain legal-0001 --config {folder}/laneway.toml\n      why a task went where it went\n"
        f"  {command} status --config {folder}/laneway.toml\n      what the store holds\n"
        f"  {command} run YOUR_FILE.jsonl\n      your own tasks, with your own key\n"
    )
