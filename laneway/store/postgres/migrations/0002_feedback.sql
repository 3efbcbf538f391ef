-- What people said about a task: the last word about each thing (quality, category, urgency, complexity). `model`: where
-- the task stood then, whose answer was judged. A note goes with the task's content, the rest stays.
CREATE TABLE laneway.feedback (
    task_id bigint NOT NULL,
    about text COLLATE "C" NOT NULL,
    value text NOT NULL,
    note text,
    model text NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (task_id, about)
);
