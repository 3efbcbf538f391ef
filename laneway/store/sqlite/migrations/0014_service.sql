-- What the service shows and keeps. Figures by time: `span` is a minute or an hour (60 or 3600 s), `at` its beginning.
-- kind: 'lane', 'type', 'model' or 'account'; 'all' with an empty name for everything. Workers add to them every few seconds.
CREATE TABLE tally (
    span INTEGER NOT NULL,
    at INTEGER NOT NULL,
    team TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    succeeded INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    retries INTEGER NOT NULL DEFAULT 0,
    rate_limited INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (span, at, team, kind, name)
) STRICT, WITHOUT ROWID;
-- Histograms of seconds, what: 'wait' (until the first call) or 'run' (a task's calls). `bucket`: see `store/tallies.py`.
CREATE TABLE tally_time (
    span INTEGER NOT NULL,
    at INTEGER NOT NULL,
    team TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    what TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (span, at, team, kind, name, what, bucket)
) STRICT, WITHOUT ROWID;

-- Kinds of failures: failed tasks name theirs, so that they can be counted and chosen without reading what was said.
CREATE TABLE failure (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL,
    class TEXT NOT NULL,
    code TEXT NOT NULL,
    task_type TEXT NOT NULL,
    model TEXT NOT NULL,
    lane TEXT NOT NULL,
    message TEXT NOT NULL DEFAULT '',
    UNIQUE (run_id, class, code, task_type, model, lane)
) STRICT;
ALTER TABLE task ADD COLUMN failure_id INTEGER;
CREATE INDEX task_failed ON task (failure_id, id) WHERE state = 'failed';

-- Who may ask. `hash`: SHA-256 of the token. lanes: JSON list, NULL: all. urgency: the highest. daily_budget: USD.
CREATE TABLE token (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL UNIQUE,
    role TEXT NOT NULL,
    team TEXT,
    lanes TEXT,
    urgency INTEGER,
    daily_budget REAL,
    created_at REAL NOT NULL,
    revoked_at REAL
) STRICT;
-- What was changed through the service, by whom.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    who TEXT NOT NULL,
    team TEXT,
    action TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '{}'
) STRICT;

-- Who is to be told when a task has ended. next_at: NULL, nothing more is sent.
CREATE TABLE webhook (
    id TEXT NOT NULL PRIMARY KEY,
    task_id INTEGER NOT NULL,
    url TEXT NOT NULL,
    team TEXT,
    created_at REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_at REAL,
    delivered_at REAL,
    error TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX webhook_next ON webhook (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_task ON webhook (task_id);
