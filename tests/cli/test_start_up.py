"""What the command imports, and when: a start-up that is slow is paid at every run."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import typer

from laneway.cli.main import COMMANDS, command_line
from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

LATER = ("rich.style", "genai_prices")  # while the first calls are on their way
NEVER = (
    "jinja2",
    "jsonschema",
    "charset_normalizer",
    "fastapi",
    "pypdf",
    "python_calamine",
    "pydantic_ai",
    "openai",
    "numpy",
    "sklearn",
)


def registered(app: typer.Typer) -> list[str]:
    groups = [str(group.typer_instance.info.name) for group in app.registered_groups if group.typer_instance]
    return [*(str(command.name) for command in app.registered_commands), *groups]


def test_each_command_is_found_in_its_module() -> None:
    for module, names in COMMANDS.items():
        for name in names:
            assert sorted(registered(command_line(name))) == sorted(names), f"laneway.cli.{module}"


@pytest.mark.parametrize("word", [None, "--help", "nonsense"])
def test_without_the_name_of_a_command_there_are_all(word: str | None) -> None:
    assert sorted(registered(command_line(word))) == sorted(name for names in COMMANDS.values() for name in names)


def test_a_command_does_not_import_the_others_nor_anything_heavy(desk: Desk) -> None:
    done = desk.python(
        "-c",
        "import sys; from laneway.cli.main import COMMANDS, command_line; command_line('run');"
        "print([m for m in COMMANDS if m != 'run' and 'laneway.cli.' + m in sys.modules],"
        "[m for m in ('aiohttp', 'apsw', 'pydantic', 'rich', 'genai_prices', 'laneway.app') if m in sys.modules])",
    )
    assert done.out.strip() == "[] []", done.err


def imported(trace: str) -> list[str]:
    """The modules in the order in which they were there, of what ``python -X importtime`` writes (none of those that
    ``importlib`` was asked for)."""
    return [line.rpartition("|")[2].strip() for line in trace.splitlines() if line.startswith("import time:")]


def test_a_run_imports_for_its_summary_and_prices_when_calls_are_on_their_way(
    desk: Desk, simulate: Callable[..., SimulatorProcess]
) -> None:
    simulate(latency=0.3)
    desk.batch("tasks.jsonl", 2)
    command = ("-X", "importtime", "-m", "laneway", "run", "tasks.jsonl")
    done = desk.python(*command)
    assert done.code == 0, done.err
    modules = imported(done.err)
    assert [name for name in NEVER if name in modules] == []
    ready = modules.index("laneway.providers.catalog")
    assert all(modules.index(name) > ready for name in LATER)

    again = desk.python(*command)  # all is there: nothing is called, so nothing needs a price
    assert again.code == 0, again.err
    assert "genai_prices" not in imported(again.err)


def test_a_look_at_the_store_imports_nothing_that_works(desk: Desk) -> None:
    done = desk.python("-X", "importtime", "-m", "laneway", "status")
    assert done.code == 0, done.err
    working = ("laneway.app.laneway", "laneway.app.python", "laneway.dispatch", "laneway.providers.client")
    heavy = ("aiohttp", "uvloop", "rich", "genai_prices", *NEVER)
    assert [name for name in (*working, *heavy) if name in imported(done.err)] == []
