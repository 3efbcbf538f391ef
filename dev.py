"""Sets up a virtual environment and runs one of the project's commands in it. Standard library only.

    python3 dev.py demo     install Laneway and run its example on a simulated provider
    python3 dev.py test     install what the tests need, then lint, types, import layers and all tests

Inside an active virtual environment that one is used, else ``.venv`` beside this file is made.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements" / "dev.lock"


def run(*command: str | Path) -> None:
    """Run a command; leave with its exit code when it fails."""
    code = subprocess.call([str(part) for part in command], cwd=HERE)
    if code:
        raise SystemExit(code)


def environment() -> Path:
    """The Python of the environment to work in."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.executable)
    folder = HERE / ".venv"
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not python.exists():
        print(f"making a virtual environment in {folder.name}/", flush=True)
        venv.EnvBuilder().create(folder)  # without pip: Debian keeps ensurepip in a package of its own
    return python


def pip(python: Path, *arguments: str | Path) -> None:
    """Install into an environment, with the pip of this interpreter."""
    quiet = ("--quiet", "--disable-pip-version-check")
    if python == Path(sys.executable):
        run(python, "-m", "pip", "install", *quiet, *arguments)
    else:
        run(sys.executable, "-m", "pip", "--python", python, "install", *quiet, *arguments)


def demo(python: Path, arguments: list[str]) -> None:
    pip(python, ".")
    run(python, "-m", "laneway", "demo", *arguments)


def test(python: Path, arguments: list[str]) -> None:
    pip(python, "--require-hashes", "-r", LOCK)
    pip(python, "--no-deps", "--no-build-isolation", ".")
    for title, command in (
        ("lint", ["ruff", "check", "."]),
        ("format", ["ruff", "format", "--check", "."]),
        ("types", ["mypy"]),
        ("import layers", ["importlinter.cli", "lint"]),
    ):
        print(f"== {title}", flush=True)
        if command[0] == "importlinter.cli":
            run(python, "-c", "from importlinter.cli import lint_imports_command as c; c()")
        else:
            run(python, "-m", *command)
    print("== tests", flush=True)
    run(python, "-m", "pytest", "-q", *arguments)


def main() -> None:
    commands = {"demo": demo, "test": test}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        print(__doc__)
        raise SystemExit(2)
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what somebody with an older Python runs
        raise SystemExit("Laneway needs Python 3.11 or newer")
    commands[sys.argv[1]](environment(), sys.argv[2:])


if __name__ == "__main__":
    main()
