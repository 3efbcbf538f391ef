-- What somebody has paused by hand. `resumes` counts: a worker that paused an account after a failure sees by it that
-- somebody wants it tried again.
CREATE TABLE pause (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    since REAL,
    resumes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Finding a task by its key alone, and the earlier task of the same key.
CREATE INDEX task_key ON task (key) WHERE key IS NOT NULL;

-- next_model: set by hand while the task runs, for its next try.
ALTER TABLE task ADD COLUMN next_model TEXT;

-- twin_id: the earlier task of the same key whose result this one waits for (wait_reason 'shared').
ALTER TABLE task ADD COLUMN twin_id INTEGER;
CREATE INDEX task_twin ON task (twin_id) WHERE state = 'waiting' AND twin_id IS NOT NULL;
