-- A flow begins tasks (its children) step by step, and waits for them without being held by anybody.
ALTER TABLE payload ADD COLUMN parent_id INTEGER;

-- name: unique within the flow, the same on every replay. step: in which it was begun; -1: the flow's
-- function has changed and does not begin it any more. wait_group: the one that it counts for now.
CREATE TABLE child (
    child_id INTEGER PRIMARY KEY,
    flow_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    wait_group INTEGER
) STRICT;
CREATE UNIQUE INDEX child_name ON child (flow_id, name);

-- How many more children must end before the flow is woken; eager: one that fails is enough.
CREATE TABLE wait_group (
    flow_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    lacks INTEGER NOT NULL,
    eager INTEGER NOT NULL,
    PRIMARY KEY (flow_id, number)
) STRICT, WITHOUT ROWID;

-- What a flow was told in each step: its time, names of children that had ended and timers that had fired, in order; and
-- how many events it knew. By these it does the same again when it is replayed.
CREATE TABLE step (
    flow_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    heard TEXT NOT NULL,
    events INTEGER NOT NULL,
    PRIMARY KEY (flow_id, number)
) STRICT, WITHOUT ROWID;

-- What was said to a flow from outside.
CREATE TABLE event (
    flow_id INTEGER NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    content BLOB NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (flow_id, number)
) STRICT, WITHOUT ROWID;
