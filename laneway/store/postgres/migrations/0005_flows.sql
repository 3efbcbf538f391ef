-- A flow begins tasks (its children) step by step, and waits for them without being held by anybody.
ALTER TABLE laneway.payload ADD COLUMN parent_id bigint;

-- name: unique within the flow, the same on every replay. step: in which it was begun; -1: the flow's function has
-- changed and does not begin it any more. wait_group: the one that it counts for now.
CREATE TABLE laneway.child (
    child_id bigint PRIMARY KEY,
    flow_id bigint NOT NULL,
    name text NOT NULL,
    step integer NOT NULL,
    wait_group integer
);
CREATE UNIQUE INDEX child_name ON laneway.child (flow_id, name);

-- How many more children must end before the flow is woken; eager: one that fails is enough.
CREATE TABLE laneway.wait_group (
    flow_id bigint NOT NULL,
    number integer NOT NULL,
    lacks integer NOT NULL,
    eager boolean NOT NULL,
    PRIMARY KEY (flow_id, number)
);

-- What a flow was told in each step: its time, names of children that had ended and timers that had fired, in order; and
-- how many events it knew. By these it does the same again when it is replayed.
CREATE TABLE laneway.step (
    flow_id bigint NOT NULL,
    number integer NOT NULL,
    at double precision NOT NULL,
    heard jsonb NOT NULL,
    events integer NOT NULL,
    PRIMARY KEY (flow_id, number)
);

-- What was said to a flow from outside.
CREATE TABLE laneway.event (
    flow_id bigint NOT NULL,
    number integer NOT NULL,
    name text NOT NULL,
    content bytea NOT NULL,
    at double precision NOT NULL,
    PRIMARY KEY (flow_id, number)
);
