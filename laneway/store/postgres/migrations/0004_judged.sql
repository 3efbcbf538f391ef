-- That a running task's call went to another model than the one before: triage had judged it again.
CREATE TABLE laneway.judged (
    task_id bigint NOT NULL,
    at double precision NOT NULL,
    origin text NOT NULL,
    model text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (task_id, at)
);
