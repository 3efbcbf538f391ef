-- That a running task's call went to another model than the one before: triage had judged it again.
CREATE TABLE judged (
    task_id INTEGER NOT NULL,
    at REAL NOT NULL,
    origin TEXT NOT NULL,
    model TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (task_id, at)
) STRICT, WITHOUT ROWID;
