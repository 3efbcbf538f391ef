"""Other task queues on tasks that do nothing, each run in the peers' environment as ``python -m benchmarks.peers.queues
NAME``: one object, its figures or why it was skipped."""

from __future__ import annotations

from collections.abc import Mapping

QUEUES: Mapping[str, tuple[str, str]] = {
    "rq": ("on_rq", "OnRQ"),
    "rq_simple": ("on_rq", "OnSimpleRQ"),
    "celery": ("on_celery", "OnCelery"),
    "dramatiq": ("on_dramatiq", "OnDramatiq"),
    "saq": ("on_saq", "OnSAQ"),
    "huey_sqlite": ("on_huey", "OnHuey"),
    "dbos_sqlite": ("on_dbos", "OnDBOS"),
    "pgqueuer": ("on_pgqueuer", "OnPgQueuer"),
}
WITHOUT_RESULTS = ("pgqueuer",)  # told beside the others, but they do less
PACKAGES = ("pgqueuer", "asyncpg", "rq", "celery", "dramatiq", "saq", "huey", "dbos", "redis", "hiredis")
