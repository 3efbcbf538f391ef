"""Lines that fit the terminal they go to."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Sequence

UNBOUNDED = 10_000  # columns, where no terminal reads


def columns() -> int:
    """How wide standard output is; a pipe takes lines of any length."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED


def beside(label: str, text: str, indent: int) -> str:
    """A label and its text in one column behind it, wrapped; paths and commands stay whole."""
    lines = textwrap.wrap(
        "".join(char if char.isprintable() else " " for char in text),
        max(30, columns() - indent - 1),
        subsequent_indent=" " * indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"{label:<{indent}}" + "\n".join(lines)


def commands(steps: Sequence[tuple[str, str]]) -> list[str]:
    """Commands with what each is for: beside it where there is room for all, else below."""
    width = max(len(command) for command, _ in steps)
    if 4 + width + max(len(why) for _, why in steps) < columns():
        return [f"  {command:<{width}}  {why}" for command, why in steps]
    return [line for command, why in steps for line in (f"  {command}", f"      {why}")]
