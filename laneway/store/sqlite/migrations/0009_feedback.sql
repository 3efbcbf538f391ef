-- What people said about a task: the last word about each thing (quality, category, urgency, complexity). `model`: where
-- the task stood then, whose answer was judged. A note goes with the task's content, the rest stays.
CREATE TABLE feedback (
    task_id INTEGER NOT NULL,
    about TEXT NOT NULL,
    value TEXT NOT NULL,
    note TEXT,
    model TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (task_id, about)
) STRICT, WITHOUT ROWID;
