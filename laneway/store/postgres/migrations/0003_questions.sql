-- aside: holds the tasks by which triage asks its classifier. They are on no shelf but stand beside their run, in none of
-- its counts and results; `shelf` is set, too, so that the version before does not count them either.
ALTER TABLE laneway.cell ADD COLUMN aside boolean NOT NULL DEFAULT false;

-- Which tasks the classifier was asked about, in which question, and what it said: field → label; {}: it would not say;
-- NULL with answered_at: no usable answer.
CREATE TABLE laneway.question (
    task_id bigint NOT NULL,
    asked_in bigint NOT NULL,
    run_id bigint NOT NULL,
    at double precision NOT NULL,
    answered_at double precision,
    said jsonb,
    PRIMARY KEY (task_id, asked_in)
);
CREATE INDEX question_of ON laneway.question (asked_in);
CREATE INDEX question_at ON laneway.question (at);

-- What it said of a text, so that the same text is never paid twice. Holds no words of the text.
CREATE TABLE laneway.verdict (
    digest bytea PRIMARY KEY,
    said jsonb NOT NULL,
    at double precision NOT NULL
);
