-- aside: holds the tasks by which triage asks its classifier. They are on no shelf but stand beside their run, in none of
-- its counts and results; `shelf` is set, too, so that the version before does not count them either.
ALTER TABLE cell ADD COLUMN aside INTEGER NOT NULL DEFAULT 0;

-- Which tasks the classifier was asked about, in which question, and what it said: JSON, field → label; {}: it would not
-- say; NULL with answered_at: no usable answer.
CREATE TABLE question (
    task_id INTEGER NOT NULL,
    asked_in INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    at REAL NOT NULL,
    answered_at REAL,
    said TEXT,
    PRIMARY KEY (task_id, asked_in)
) STRICT, WITHOUT ROWID;
CREATE INDEX question_of ON question (asked_in);
CREATE INDEX question_at ON question (at);

-- What it said of a text, so that the same text is never paid twice. Holds no words of the text.
CREATE TABLE verdict (
    digest BLOB PRIMARY KEY,
    said TEXT NOT NULL,
    at REAL NOT NULL
) STRICT, WITHOUT ROWID;
