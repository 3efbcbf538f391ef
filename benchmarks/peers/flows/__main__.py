from __future__ import annotations

import asyncio
import importlib
import json
import sys
import time
from pathlib import Path

from benchmarks.documents import digest, documents
from benchmarks.peers.flows.job import Job


async def _main(name: str, job: Job) -> dict[str, object]:
    answer_all = importlib.import_module(f"benchmarks.peers.flows.on_{name}").answer_all
    began: list[float] = []
    results = await answer_all(job, documents(job.documents), lambda: began.append(time.perf_counter()))
    return {
        "seconds": round(time.perf_counter() - began[0], 3),
        "cpu_s": round(time.process_time(), 2),
        "ended": len(results),
        "digest": digest(results),
    }


if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    print(json.dumps(asyncio.run(_main(sys.argv[1], Job(**{**given, "folder": Path(given["folder"])})))))
