-- What the service shows and keeps. Figures by time: `span` is a minute or an hour (60 or 3600 s), `at` its beginning.
-- kind: 'lane', 'type', 'model' or 'account'; 'all' with an empty name for everything. Workers add to them every few seconds.
CREATE TABLE laneway.tally (
    span bigint NOT NULL,
    at bigint NOT NULL,
    team text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    succeeded bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    calls bigint NOT NULL DEFAULT 0,
    retries bigint NOT NULL DEFAULT 0,
    rate_limited bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (span, at, team, kind, name)
);
-- Histograms of seconds, what: 'wait' (until the first call) or 'run' (a task's calls). `bucket`: see `store/tallies.py`.
CREATE TABLE laneway.tally_time (
    span bigint NOT NULL,
    at bigint NOT NULL,
    team text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    what text COLLATE "C" NOT NULL,
    bucket bigint NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (span, at, team, kind, name, what, bucket)
);

-- Kinds of failures: failed tasks name theirs, so that they can be counted and chosen without reading what was said.
CREATE TABLE laneway.failure (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL,
    class text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    task_type text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    lane text COLLATE "C" NOT NULL,
    message text COLLATE "C" NOT NULL DEFAULT '',
    UNIQUE (run_id, class, code, task_type, model, lane)
);
ALTER TABLE laneway.task ADD COLUMN failure_id bigint;
CREATE INDEX task_failed ON laneway.task (failure_id, id) WHERE state = 'failed';

-- Who may ask. `hash`: SHA-256 of the token. lanes: JSON list, NULL: all. urgency: the highest. daily_budget: USD.
CREATE TABLE laneway.token (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    hash bytea NOT NULL UNIQUE,
    role text COLLATE "C" NOT NULL,
    team text COLLATE "C",
    lanes jsonb,
    urgency bigint,
    daily_budget double precision,
    created_at double precision NOT NULL,
    revoked_at double precision
);
-- What was changed through the service, by whom.
CREATE TABLE laneway.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at double precision NOT NULL,
    who text COLLATE "C" NOT NULL,
    team text COLLATE "C",
    action text COLLATE "C" NOT NULL,
    what text COLLATE "C" NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- Who is to be told when a task has ended. next_at: NULL, nothing more is sent.
CREATE TABLE laneway.webhook (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    task_id bigint NOT NULL,
    url text COLLATE "C" NOT NULL,
    team text COLLATE "C",
    created_at double precision NOT NULL,
    attempts bigint NOT NULL DEFAULT 0,
    next_at double precision,
    delivered_at double precision,
    error text COLLATE "C"
);
CREATE INDEX webhook_next ON laneway.webhook (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_task ON laneway.webhook (task_id);
