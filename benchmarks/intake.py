"""A batch of 100,000 lines: CPU a line for its tasks, and for its tasks with a route, beside parsing its JSON alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.common import median, workplace, write_batch
from laneway.app.laneway import Laneway
from laneway.app.runs.taking_in import TakingIn
from laneway.config.models import Config
from laneway.intake.options import ReadOptions
from laneway.intake.reading import Reading, open_reading

LINES = 100_000
ENV = {"OPENAI_API_KEY": "sk-benchmark"}


def run(repeat: int) -> dict[str, Any]:
    with workplace() as folder:
        path = write_batch(folder / "tasks.jsonl", LINES)
        config = Config(folder=folder)
        parsed, _ = median(lambda: _cpu_us(lambda: _parse(path)), repeat)
        read, all_read = median(lambda: _cpu_us(lambda: _exhaust(_reading(path, config))), repeat)
        routed, all_routed = median(lambda: _cpu_us(lambda: _route(path, config)), repeat)
    return {
        "lines": LINES,
        "json_us": round(parsed, 2),
        "read_us": round(read, 2),
        "routed_us": round(routed, 2),
        "read_ratio": round(read / parsed, 2),
        "routed_ratio": round(routed / parsed, 2),
        "read_all": all_read,
        "routed_all": all_routed,
    }


def _cpu_us(work: Callable[[], object]) -> float:
    """Microseconds of CPU a line."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / LINES * 1e6


def _parse(path: Path) -> None:
    """The least: every line parsed, and its body written again as it is stored."""
    with path.open("rb") as file:
        for line in file:
            orjson.dumps(orjson.loads(line)["body"])


def _reading(path: Path, config: Config) -> Reading:
    return open_reading(str(path), config, ReadOptions())


def _exhaust(reading: Reading) -> None:
    for _ in reading:
        pass
    reading.close()


def _route(path: Path, config: Config) -> None:
    lw = Laneway(config, env=ENV)
    reading = _reading(path, config)
    for _ in TakingIn(lw, reading, lw.new_catalog()).chunks():
        pass
    reading.close()
