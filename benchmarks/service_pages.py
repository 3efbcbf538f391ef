"""A real server on a store of a million tasks, a fifth of them failed: how long each page, live part and list takes.

The routes are those of the application, so that no new one is forgotten: what is not fetched is told.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from starlette.routing import BaseRoute, Mount

from benchmarks.common import command, environment, workplace
from benchmarks.million import FAILED, FLOW_TYPE, LANES, MODELS, TASKS, fill
from benchmarks.postgres import PostgresServer

TIMES = 5  # of each
MOST_MS, MOST_KB = 200.0, 256.0
PATIENCE_S = 60.0
TEAM = "legal"
FOLLOWED = ("/ui/changes", "/api/v1/events", "/api/v1/tasks/{ref}/events")  # streams: they have no end
FLOWS = ("/flows/", "/ui/flows/")
FILES = ("/v1/files/", "/v1/batches/", "/v1/messages/batches/")  # there are none of those
LISTS = ("/tasks", "/ui/tasks/live", "/api/v1/tasks", "/failures", "/ui/failures/live")
FILTERS = ("state=failed", "lane=lane-3", "state=failed&class=output", "type=type_4", "tag=spring", "model=nothing")
CONFIG = """
[accounts.main]
provider = "openai"
""" + "".join(f'[models.{name}]\naccount = "main"\nid = "{name}"\n' for name in MODELS)


def measure(tasks: int = TASKS, failed: int = FAILED) -> dict[str, Any]:
    """On both stores; ``dashboard_worst_ms`` is the worst route's median on the client's clock, over loopback."""
    with workplace() as folder, PostgresServer() as server:
        places = {"sqlite": f"sqlite:///{folder}/million.db", "postgres": server.url()}
        told = {}
        for name, url in places.items():
            filled = fill(url, tasks, failed)
            told[name] = {"tasks": filled.tasks, "failed": filled.failed, **pages(url)}
    return worst(told)


def worst(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "dashboard_worst_ms": max(one["worst_ms"] for one in told.values()),
        "dashboard_worst_kb": max(one["worst_kb"] for one in told.values()),
        "dashboard": told,
    }


def pages(url: str) -> dict[str, Any]:
    """Of a store that is filled, as an operator of no team sees them and as a team's does. ``over``: routes beyond
    200 ms or 256 KB; ``not_fetched``: streams, files, others' documents; ``refused``: those that did not answer 200,
    which are not measured."""
    rows: dict[str, tuple[float, float, float]] = {}
    refused: dict[str, int] = {}
    tokens = {team: _token(url, team) for team in (None, TEAM)}
    with _served(url) as base:
        for team, token in tokens.items():
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=base, headers=headers, timeout=PATIENCE_S) as client:
                wanted, left_out = _wanted(client)
                for path in wanted:
                    took, size, status = _fetch(client, path)
                    seen = f"{path} ({team})" if team else path
                    if status == 200:
                        rows[seen] = (statistics.median(took), max(took), size / 1024)
                    else:
                        refused[seen] = status
    slowest = sorted(rows.items(), key=lambda row: -row[1][0])
    return {
        "fetched": len(rows),
        "worst_ms": round(max(middle for middle, _, _ in rows.values()), 1),
        "worst_once_ms": round(max(once for _, once, _ in rows.values()), 1),
        "worst_kb": round(max(size for _, _, size in rows.values()), 1),
        "slowest": {path: round(row[0], 1) for path, row in slowest[:5]},
        "largest_kb": {path: round(row[2], 1) for path, row in sorted(rows.items(), key=lambda row: -row[1][2])[:3]},
        "over": sorted(path for path, row in rows.items() if row[0] > MOST_MS or row[2] > MOST_KB),
        "refused": refused,
        "not_fetched": left_out,
    }


def _token(url: str, team: str | None) -> str:
    told = subprocess.run(
        command("token", "create", f"{team or 'all'}-{time.time_ns()}", "--role", "operate", "--store", url, "--json")
        + (["--team", team] if team else []),
        capture_output=True,
        check=True,
    )
    return str(json.loads(told.stdout)["token"])


def _fetch(client: httpx.Client, path: str) -> tuple[list[float], int, int]:
    """Milliseconds of each time, bytes, and the status."""
    took, size, status = [], 0, 0
    for _ in range(TIMES):
        began = time.perf_counter()
        answer = client.get(path)
        took.append(1000 * (time.perf_counter() - began))
        size, status = len(answer.content), answer.status_code
        if status != 200:
            break
    return took, size, status


def _wanted(client: httpx.Client) -> tuple[list[str], list[str]]:
    """Paths to fetch, and those of routes that are left out."""
    found = client.get("/api/v1/tasks", params={"state": "failed", "limit": 1}).json()["data"][0]
    values = {"ref": str(found["id"]), "run_id": str(found["run_id"])}
    flows = client.get("/api/v1/tasks", params={"type": FLOW_TYPE, "limit": 1}).json()["data"]
    names = {"lanes": f"lane-{LANES - 1}", "models": MODELS[0], "accounts": "main"}
    wanted, left_out = [], []
    for path in sorted(set(_gets(_routes()))):
        if path in FOLLOWED or path.startswith(FILES) or path.startswith("/static/"):
            left_out.append(path)
            continue
        name = next((name for place, name in names.items() if f"/{place}/" in path), "")
        filled = path.replace(":path", "").format_map({**values, "name": name})
        if path.startswith(FLOWS) or path.endswith("/tree"):
            if not flows:
                continue
            filled = path.format(ref=flows[0]["id"])
        wanted.append(filled)
        wanted += [f"{filled}?{query}" for query in FILTERS] if path in LISTS else []
    return wanted, left_out


def _routes() -> Sequence[BaseRoute]:
    from laneway.app.laneway import Laneway
    from laneway.server.app import Manners, application
    from laneway.task import Urgency

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "laneway.toml").write_text("")
        lw = Laneway(Path(folder) / "laneway.toml", store=f"sqlite:///{folder}/routes.db")
        return application(lw, Manners(Urgency.IMMEDIATE, 1.0, 1, works=False)).routes


def _gets(routes: Iterable[BaseRoute], prefix: str = "") -> Iterator[str]:
    for route in routes:
        if isinstance(route, Mount):
            yield from _gets(route.routes, prefix + route.path)
        elif (router := getattr(route, "original_router", None)) is not None:
            yield from _gets(router.routes, prefix)
        elif "GET" in (getattr(route, "methods", None) or ()):
            yield prefix + getattr(route, "path", "")


@contextmanager
def _served(url: str) -> Iterator[str]:
    with workplace() as folder:
        (folder / "laneway.toml").write_text(CONFIG)
        process = subprocess.Popen(
            command("serve", "--port", "0", "--no-worker", "--store", url, "--json"),
            cwd=folder,
            env=environment("http://127.0.0.1:9"),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"].removesuffix("/v1")
        finally:
            process.terminate()
            process.communicate(timeout=60)


if __name__ == "__main__":  # python -m benchmarks.service_pages URL: on a store that is filled already
    import sys

    sys.stdout.write(json.dumps(pages(sys.argv[1]), indent=2) + "\n")
