"""Sets up a virtual environment and runs one of the project's commands in it. Standard library only.

    python3 dev.py demo     install Laneway and run its example on a simulated provider
    python3 dev.py test     install what the tests need, then lint, types, import layers and all tests

Inside an active virtual environment that one is used, else ``.venv`` beside this file is made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements" / "dev.lock"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MOST_WORKERS = 16  # each takes 10 s of a core to read all tests in


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


def chromium() -> None:
    """The dashboard's tests drive one, and are skipped where there is none: as root on Debian or Ubuntu the
    distribution's is installed, if that can be done."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if any(shutil.which(name) for name in CHROMIUMS) or not is_root or shutil.which("apt-get") is None:
        return
    print("installing the distribution's chromium for the dashboard's tests", flush=True)
    for arguments in (["update", "-q"], ["install", "-qy", "--no-install-recommends", "chromium"]):
        try:
            subprocess.run(
                ["apt-get", *arguments],  # noqa: S607 - wherever the distribution has it
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=600,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return


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
    chromium()
    print("== tests", flush=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each of the commands that tests start compiles all of Laneway
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # what learns in a test has the cores not to itself
    run(python, "-m", "pytest", "-q", "-n", workers(), "--dist", "worksteal", *arguments)


def workers() -> str:
    """How many tests run at once: two a core, since half of their time they wait for what they started. 0, one after
    the other in one process, on a PostgreSQL that is given by hand: they would share it (``tests/postgres.py``)."""
    if os.environ.get("LANEWAY_TEST_POSTGRES"):
        return "0"
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return str(min(2 * cores, MOST_WORKERS))


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
