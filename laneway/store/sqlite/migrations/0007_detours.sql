-- Which tasks went to another model of their route because theirs was away. Their attempts say what came of it.
CREATE TABLE detour (
    run_id INTEGER NOT NULL,
    task_id INTEGER NOT NULL,
    at REAL NOT NULL,
    origin TEXT NOT NULL,
    model TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run_id, task_id, at)
) STRICT, WITHOUT ROWID;
