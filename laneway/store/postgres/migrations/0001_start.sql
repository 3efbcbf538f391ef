-- Everything stands in a schema of its own and is always named with it: nothing depends on a connection's settings, so
-- that poolers may hand connections about. Times are seconds since 1970.
CREATE SEQUENCE laneway.task_id CACHE 1;

-- The hot table is narrow: what the queue needs, nothing that people read. A change of state moves a row from one
-- partial index to another; vacuum has to come early and without pauses, or the heads of the indexes fill with the dead.
CREATE TABLE laneway.task (
    id bigint PRIMARY KEY,
    run_id bigint NOT NULL,
    key text COLLATE "C",
    generation bigint NOT NULL,
    hash bytea NOT NULL,
    cell_id bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    due_at double precision NOT NULL,
    wake_at double precision,
    wait_reason text COLLATE "C",
    worker_id text COLLATE "C",
    fence bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    refusals integer NOT NULL DEFAULT 0,
    losses integer NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cancel_requested boolean NOT NULL DEFAULT false,
    result_seq bigint,
    next_model text,  -- set by hand while the task runs, for its next try
    twin_id bigint,  -- the earlier task of the same key whose result this one waits for (wait_reason 'shared')
    begun_at double precision  -- when the first call began since it was queued: its time limit counts from there
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);
CREATE INDEX task_ready ON laneway.task (cell_id, due_at, id) WHERE state = 'ready';
CREATE INDEX task_waiting ON laneway.task (wake_at) WHERE state = 'waiting';
CREATE INDEX task_running ON laneway.task (worker_id, id) WHERE state = 'running';
CREATE INDEX task_held ON laneway.task (run_id, id) WHERE state = 'triaging';
CREATE INDEX task_twin ON laneway.task (twin_id) WHERE state = 'waiting' AND twin_id IS NOT NULL;
CREATE UNIQUE INDEX task_identity ON laneway.task (run_id, key, generation) WHERE key IS NOT NULL;
CREATE INDEX task_key ON laneway.task (key) WHERE key IS NOT NULL;

CREATE TABLE laneway.payload (
    task_id bigint PRIMARY KEY,
    submitted_at double precision NOT NULL,
    deadline double precision,
    spec_id bigint NOT NULL,
    route_id bigint NOT NULL,
    tags jsonb,
    team text,
    complaint text,
    body bytea NOT NULL,
    record bytea
);

-- Routes and specs repeat over thousands of tasks: each distinct one is kept once. `type` and `wire` are a spec's.
CREATE TABLE laneway.document (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    content bytea NOT NULL,
    type text,
    wire text
);

-- A queue cell. A run has cells of its own; `shelf` cells hold tasks that left their run.
CREATE TABLE laneway.cell (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL,
    model text NOT NULL,
    lane text NOT NULL,
    urgency smallint NOT NULL,
    shelf boolean NOT NULL DEFAULT false,
    UNIQUE (run_id, model, lane, urgency, shelf)
);

-- How many of its tasks are in which state: the sum of its rows. Each process adds to a row of its own, so that nobody
-- waits for another's commit. `changed`: the transaction that touched the ready ones last.
CREATE TABLE laneway.cell_count (
    cell_id bigint NOT NULL,
    shard smallint NOT NULL,
    triaging bigint NOT NULL DEFAULT 0,
    ready bigint NOT NULL DEFAULT 0,
    running bigint NOT NULL DEFAULT 0,
    waiting bigint NOT NULL DEFAULT 0,
    succeeded bigint NOT NULL DEFAULT 0,
    failed bigint NOT NULL DEFAULT 0,
    cancelled bigint NOT NULL DEFAULT 0,
    changed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (cell_id, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX cell_count_changed ON laneway.cell_count (changed);

CREATE TABLE laneway.run (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity text NOT NULL UNIQUE,
    generation bigint NOT NULL,
    sealed boolean NOT NULL,
    created_at double precision NOT NULL,
    first_seq bigint NOT NULL,
    cursor bigint NOT NULL,
    "offset" bigint NOT NULL,
    max_cost double precision,
    budget_base double precision NOT NULL DEFAULT 0,
    info jsonb NOT NULL
) WITH (fillfactor = 70);

-- What a run has spent and has reserved: the sums of its rows, as with a cell's counters.
CREATE TABLE laneway.run_cost (
    run_id bigint NOT NULL,
    shard smallint NOT NULL,
    spent double precision NOT NULL DEFAULT 0,
    reserved double precision NOT NULL DEFAULT 0,
    PRIMARY KEY (run_id, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

-- What was spent on a day (days since 1970-01-01, UTC) in a lane, for a type, on an account: the sums of the ledger.
CREATE TABLE laneway.spending (
    day integer NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    shard smallint NOT NULL,
    spent double precision NOT NULL,
    reserved double precision NOT NULL,
    PRIMARY KEY (day, kind, name, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

-- Ended tasks in the order of their settlement. `seq` is the number of the transaction that wrote it, times 2^20, plus
-- the place in it: what is below the oldest transaction still open is complete, and stays as it is.
CREATE TABLE laneway.result (
    seq bigint PRIMARY KEY,
    task_id bigint NOT NULL,
    settled_at double precision NOT NULL,
    cost double precision,
    request_id text,
    error jsonb,
    output bytea
);

-- The ledger: one line a call, written at the claim. `cell_id`: where the task stood then.
CREATE TABLE laneway.attempt (
    task_id bigint NOT NULL,
    fence bigint NOT NULL,
    call integer NOT NULL,
    run_id bigint NOT NULL,
    worker_id text COLLATE "C" NOT NULL,
    model text NOT NULL,
    account text NOT NULL,
    started_at double precision NOT NULL,
    reserved_input bigint NOT NULL,
    reserved_output bigint NOT NULL,
    reserved_cost double precision,
    outcome text COLLATE "C",
    latency double precision,
    input_tokens bigint,
    output_tokens bigint,
    cached_tokens bigint,
    input_price double precision,
    output_price double precision,
    cost double precision,
    error jsonb,
    cell_id bigint,
    PRIMARY KEY (task_id, fence, call)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE laneway.worker (
    id text COLLATE "C" PRIMARY KEY,
    host text NOT NULL,
    pid integer NOT NULL,
    joined_at double precision NOT NULL,
    heartbeat_at double precision NOT NULL,
    lease_until double precision NOT NULL
) WITH (fillfactor = 50);

-- Which part of an account's or lane's limits is whose, by what it asked for. A part is reserved until its holder goes by
-- a smaller one; `lacks_*` is due, and not there yet.
CREATE TABLE laneway.grant_share (
    resource text NOT NULL,
    worker_id text COLLATE "C" NOT NULL,
    immediate double precision NOT NULL,
    urgent double precision NOT NULL,
    standard double precision NOT NULL,
    relaxed double precision NOT NULL,
    share double precision NOT NULL,
    slots bigint NOT NULL,
    lacks_share double precision NOT NULL,
    lacks_slots bigint NOT NULL,
    valid_until double precision NOT NULL,
    PRIMARY KEY (resource, worker_id)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

-- Calls that workers say to have made of a resource.
CREATE TABLE laneway.calls_made (
    resource text PRIMARY KEY,
    calls bigint NOT NULL
) WITH (fillfactor = 50);

-- The last transaction of each connection that writes, by its own count: who gets no answer to a commit finds out by it.
CREATE TABLE laneway.last_commit (
    name bigint PRIMARY KEY,
    begun bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 20, autovacuum_vacuum_cost_delay = 0);

-- Small named objects (bucket levels, adaptive limits).
CREATE TABLE laneway.state (
    name text COLLATE "C" PRIMARY KEY,
    saved_at double precision NOT NULL,
    content jsonb NOT NULL
) WITH (fillfactor = 50);

-- What somebody has paused by hand. `resumes` counts: a worker that paused an account after a failure sees by it that
-- somebody wants it tried again.
CREATE TABLE laneway.pause (
    kind text NOT NULL,
    name text NOT NULL,
    since double precision,
    resumes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, name)
);

-- Which tasks went to another model of their route because theirs was away. Their attempts say what came of it.
CREATE TABLE laneway.detour (
    run_id bigint NOT NULL,
    task_id bigint NOT NULL,
    at double precision NOT NULL,
    origin text NOT NULL,
    model text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (run_id, task_id, at)
);
