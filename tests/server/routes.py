"""Every route of the service, and who may ask it. A route that is not in here fails ``test_routes.py``: say who may.

open      anybody, without a token: it tells nothing and costs nothing
asking    every token; what it shows and changes is the team's
operate   operators, of a team too: what it changes is the team's
steer     operators who are in no team: it changes, or tells, what all teams share
"""

from __future__ import annotations

from typing import NamedTuple

TABLE = """
open     GET    /health
open     GET    /login
open     POST   /login
open     POST   /logout
open     GET    /favicon.ico
open     GET    /static/{name}
steer    GET    /metrics
asking   POST   /v1/chat/completions
asking   POST   /v1/responses
asking   POST   /v1/embeddings
asking   POST   /v1/messages
asking   GET    /v1/models
asking   GET    /v1/models/{name:path}
asking   POST   /v1/files
asking   GET    /v1/files
asking   GET    /v1/files/{file_id}
asking   GET    /v1/files/{file_id}/content
asking   DELETE /v1/files/{file_id}
asking   POST   /v1/batches
asking   GET    /v1/batches
asking   GET    /v1/batches/{batch_id}
asking   POST   /v1/batches/{batch_id}/cancel
asking   POST   /v1/messages/batches
asking   GET    /v1/messages/batches
asking   GET    /v1/messages/batches/{batch_id}
asking   POST   /v1/messages/batches/{batch_id}/cancel
asking   DELETE /v1/messages/batches/{batch_id}
asking   GET    /v1/messages/batches/{batch_id}/results
asking   GET    /api/v1/openapi.json
asking   GET    /api/v1/overview
asking   GET    /api/v1/lanes
asking   GET    /api/v1/accounts
asking   GET    /api/v1/models
asking   GET    /api/v1/types
steer    GET    /api/v1/workers
asking   GET    /api/v1/failures
steer    GET    /api/v1/limits
asking   POST   /api/v1/tasks
asking   POST   /api/v1/tasks/bulk
asking   GET    /api/v1/tasks
asking   POST   /api/v1/tasks/results
asking   GET    /api/v1/tasks/{ref}
asking   GET    /api/v1/tasks/{ref}/wait
asking   GET    /api/v1/tasks/{ref}/explain
asking   GET    /api/v1/tasks/{ref}/tree
asking   POST   /api/v1/tasks/{ref}/cancel
asking   POST   /api/v1/tasks/{ref}/retry
asking   PATCH  /api/v1/tasks/{ref}
asking   POST   /api/v1/tasks/{ref}/feedback
asking   POST   /api/v1/tasks/{ref}/event
operate  POST   /api/v1/tasks/select
asking   GET    /api/v1/events
asking   GET    /api/v1/tasks/{ref}/events
asking   GET    /api/v1/runs
asking   GET    /api/v1/runs/{run_id}
asking   GET    /api/v1/runs/{run_id}/results
operate  POST   /api/v1/runs/{run_id}/pause
operate  POST   /api/v1/runs/{run_id}/resume
steer    POST   /api/v1/lanes/{name}/pause
steer    POST   /api/v1/lanes/{name}/resume
steer    POST   /api/v1/accounts/{name}/pause
steer    POST   /api/v1/accounts/{name}/resume
steer    PATCH  /api/v1/lanes/{name}
steer    PATCH  /api/v1/accounts/{name}
steer    POST   /api/v1/workers/{name}/drain
asking   GET    /
asking   GET    /ui/overview/live
asking   GET    /failures
asking   GET    /ui/failures/live
asking   GET    /failures/retry
asking   GET    /ui/failures/retry/live
operate  POST   /ui/failures/retry/begin
asking   GET    /tasks
asking   GET    /ui/tasks/live
asking   GET    /tasks/{ref}
asking   GET    /ui/tasks/{ref}/live
operate  POST   /ui/tasks/{ref}/cancel
operate  POST   /ui/tasks/{ref}/retry
asking   GET    /tasks/{ref}/text
asking   GET    /ui/tasks/{ref}/text/live
asking   GET    /runs
asking   GET    /ui/runs/live
asking   GET    /runs/{run_id}
asking   GET    /ui/runs/{run_id}/live
operate  POST   /ui/runs/{run_id}/pause
operate  POST   /ui/runs/{run_id}/resume
operate  POST   /ui/runs/{run_id}/cancel
asking   GET    /flows
asking   GET    /ui/flows/live
asking   GET    /flows/{ref}
asking   GET    /ui/flows/{ref}/live
operate  POST   /ui/flows/{ref}/cancel
operate  POST   /ui/flows/{ref}/retry
asking   GET    /triage
asking   GET    /ui/triage/live
operate  GET    /audit
operate  GET    /ui/audit/live
asking   GET    /lanes
asking   GET    /ui/lanes/live
asking   GET    /accounts
asking   GET    /ui/accounts/live
asking   GET    /models
asking   GET    /ui/models/live
asking   GET    /types
asking   GET    /ui/types/live
asking   GET    /workers
asking   GET    /ui/workers/live
asking   GET    /lanes/{name:path}
asking   GET    /ui/lanes/{name:path}/live
asking   GET    /accounts/{name:path}
asking   GET    /ui/accounts/{name:path}/live
steer    POST   /ui/lanes/{name:path}/pause
steer    POST   /ui/lanes/{name:path}/resume
steer    POST   /ui/lanes/{name:path}/limits
steer    POST   /ui/accounts/{name:path}/pause
steer    POST   /ui/accounts/{name:path}/resume
steer    POST   /ui/accounts/{name:path}/limits
steer    POST   /ui/workers/drain
steer    POST   /ui/lanes/pause
steer    POST   /ui/lanes/resume
steer    POST   /ui/accounts/pause
steer    POST   /ui/accounts/resume
asking   GET    /ui/changes
asking   POST   /ui/theme
"""


class Listed(NamedTuple):
    who: str
    method: str
    path: str


ROUTES = [Listed(*line.split()) for line in TABLE.split("\n") if line]

# What is sent where a form is asked for: enough to come past its checks.
BODIES: dict[str, object] = {
    "PATCH /api/v1/tasks/{ref}": {"urgency": "relaxed"},
    "POST /api/v1/tasks/{ref}/feedback": {"word": "good"},
    "POST /api/v1/tasks/{ref}/event": {"name": "go"},
    "POST /api/v1/tasks/results": {"ids": [1]},
    "POST /api/v1/tasks/select": {"filter": {"state": "failed"}, "verb": "retry", "dry_run": True},
}

# What is asked for in the URL.
QUERIES: dict[str, dict[str, int]] = {
    "GET /api/v1/tasks/{ref}/wait": {"timeout_s": 0},  # no worker is there who could end it
}
