"""600 requests a minute, enforced in buckets of one second: 200 tasks of 0.2 s; refusals as the simulator counts."""

from __future__ import annotations

from typing import Any

from benchmarks.common import laneway, workplace, write_batch
from laneway.simulator.process import SimulatorProcess

CONFIG = """
[accounts.main]
provider = "openai"
requests_per_minute = 600
[models.small]
account = "main"
id = "gpt-4o-mini"
"""
IDEAL_S = 200 / 10 + 0.2


def run(repeat: int) -> dict[str, Any]:
    seconds, refused = [], 0
    with workplace() as folder:
        write_batch(folder / "tasks.jsonl", 200)
        (folder / "laneway.toml").write_text(CONFIG)
        for _ in range(repeat):
            with SimulatorProcess(latency=0.2, rpm=600, burst=1, output_tokens=20) as simulator:
                said = laneway(folder, simulator.url, "run", "tasks.jsonl", "--model", "small", "--fresh")
                seconds.append(said["seconds"])
                refused += simulator.stats()["rate_limited"]
    return {
        "seconds": sorted(seconds)[len(seconds) // 2],
        "bound_s": IDEAL_S,
        "ratio": round(sorted(seconds)[len(seconds) // 2] / IDEAL_S, 4),
        "rate_limited": refused,
        "seconds_all": seconds,
    }
