-- begun_at: when the first call of a task began, since it was queued: its time limit counts from there.
ALTER TABLE task ADD COLUMN begun_at REAL;
