-- The hot table is narrow: what the queue needs, nothing that people read. Times are seconds since 1970.
CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL,
    key TEXT,
    generation INTEGER NOT NULL,
    hash BLOB NOT NULL,
    cell_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    due_at REAL NOT NULL,
    wake_at REAL,
    wait_reason TEXT,
    worker_id TEXT,
    fence INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    result_seq INTEGER
) STRICT;

-- One partial index a state, so that a row stands in at most one of them.
CREATE INDEX task_ready ON task (cell_id, due_at, id) WHERE state = 'ready';
CREATE INDEX task_waiting ON task (wake_at) WHERE state = 'waiting';
CREATE INDEX task_running ON task (worker_id, id) WHERE state = 'running';
CREATE UNIQUE INDEX task_identity ON task (run_id, key, generation) WHERE key IS NOT NULL;

CREATE TABLE payload (
    task_id INTEGER PRIMARY KEY,
    submitted_at REAL NOT NULL,
    deadline REAL,
    spec_id INTEGER NOT NULL,
    route_id INTEGER NOT NULL,
    tags TEXT,
    team TEXT,
    complaint TEXT,
    body BLOB NOT NULL,
    record BLOB
) STRICT;

-- Routes and specs repeat over thousands of tasks: each distinct one is kept once.
CREATE TABLE document (
    id INTEGER PRIMARY KEY,
    content BLOB NOT NULL UNIQUE
) STRICT;

-- A queue cell, with its counters. A run has cells of its own; `shelf` cells hold tasks that left their run.
CREATE TABLE cell (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL,
    model TEXT NOT NULL,
    lane TEXT NOT NULL,
    urgency INTEGER NOT NULL,
    shelf INTEGER NOT NULL DEFAULT 0,
    triaging INTEGER NOT NULL DEFAULT 0,
    ready INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    succeeded INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    UNIQUE (run_id, model, lane, urgency, shelf)
) STRICT;
CREATE INDEX cell_ready ON cell (run_id) WHERE ready > 0;

CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,
    generation INTEGER NOT NULL,
    sealed INTEGER NOT NULL,
    created_at REAL NOT NULL,
    first_seq INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    max_cost REAL,
    spent REAL NOT NULL DEFAULT 0,
    reserved REAL NOT NULL DEFAULT 0,
    budget_base REAL NOT NULL DEFAULT 0,
    info TEXT NOT NULL
) STRICT;

-- Ended tasks in the order of their settlement.
CREATE TABLE result (
    seq INTEGER PRIMARY KEY,
    task_id INTEGER NOT NULL,
    settled_at REAL NOT NULL,
    cost REAL,
    request_id TEXT,
    error TEXT,
    output BLOB
) STRICT;

-- The ledger: one line a call, written at the claim.
CREATE TABLE attempt (
    task_id INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    call INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    worker_id TEXT NOT NULL,
    model TEXT NOT NULL,
    account TEXT NOT NULL,
    started_at REAL NOT NULL,
    reserved_input INTEGER NOT NULL,
    reserved_output INTEGER NOT NULL,
    reserved_cost REAL,
    outcome TEXT,
    latency REAL,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_tokens INTEGER,
    input_price REAL,
    output_price REAL,
    cost REAL,
    error TEXT,
    PRIMARY KEY (task_id, fence, call)
) STRICT, WITHOUT ROWID;

CREATE TABLE worker (
    id TEXT PRIMARY KEY,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    joined_at REAL NOT NULL,
    heartbeat_at REAL NOT NULL,
    lease_until REAL NOT NULL
) STRICT;

CREATE TABLE grant_share (
    resource TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    demand INTEGER NOT NULL,
    share REAL NOT NULL,
    slots INTEGER,
    valid_until REAL NOT NULL,
    PRIMARY KEY (resource, worker_id)
) STRICT, WITHOUT ROWID;

-- Small named objects (bucket levels, adaptive limits) and the result sequence.
CREATE TABLE state (
    name TEXT PRIMARY KEY,
    saved_at REAL NOT NULL,
    content TEXT NOT NULL
) STRICT;

CREATE TABLE sequence (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO sequence (name, value) VALUES ('result', 0);
