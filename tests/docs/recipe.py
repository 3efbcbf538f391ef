"""Runs a recipe's marked blocks: ``file=NAME`` is written, ``sh background`` started, ``sh run`` run, and what it
prints compared with the ``text output`` after it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
_BLOCK = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PATIENCE_S = 300  # that of who hangs: all of the machine may be busy with other tests
PORT = "8765"  # in the recipes; replaced by a free one


@dataclass(frozen=True)
class Block:
    info: str
    text: str

    @property
    def language(self) -> str:
        return self.info.partition(" ")[0]

    @property
    def mark(self) -> str:
        return self.info.partition(" ")[2]


def blocks(name: str) -> list[Block]:
    text = (RECIPES / name).read_text("utf-8")
    return [Block(match["info"].strip(), match["text"]) for match in _BLOCK.finditer(text)]


@dataclass
class Kitchen:
    """A folder in which a recipe is followed, with ``python`` and ``laneway`` on its path."""

    folder: Path
    env: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        tools = self.folder / "bin"
        tools.mkdir()
        for tool, arguments in (("python", ""), ("laneway", "-m laneway")):
            (tools / tool).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
            (tools / tool).chmod(0o755)
        self.env = {**self.env, "PATH": f"{tools}{os.pathsep}{self.env['PATH']}"}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])

    def follow(self, recipe: list[Block]) -> None:
        printed = ""
        for block in recipe:
            text = block.text.replace(PORT, self.port)
            if block.mark.startswith("file="):
                path = self.folder / block.mark.removeprefix("file=")
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            elif block.mark == "background":
                with (self.folder / f"background-{len(self.running)}.txt").open("wb") as log:
                    self.running.append(
                        subprocess.Popen(
                            ["sh", "-c", f"exec {text}"], cwd=self.folder, env=self.env, stdout=log, stderr=log
                        )
                    )
            elif block.mark == "run":
                done = self.run(["sh", "-e", "-c", text])
                assert done.returncode == 0, self._story(done)
                printed = done.stdout
            elif block.mark == "output":
                assert printed == text, printed
            else:
                assert not block.mark, f"what does {block.info!r} ask for?"

    def run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )

    def _story(self, done: subprocess.CompletedProcess[str]) -> str:
        behind = [path.read_text() for path in sorted(self.folder.glob("background-*.txt"))]
        return "\n".join([done.stdout, done.stderr, *behind])

    def clear_up(self) -> None:
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            assert process.wait(PATIENCE_S) == 0, (self.folder / "background-0.txt").read_text()
