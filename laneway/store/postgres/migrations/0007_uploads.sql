-- Files that clients of the service sent, in pieces. `size`: NULL until all of them are there.
CREATE TABLE laneway.upload (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    name text NOT NULL DEFAULT '',
    purpose text NOT NULL DEFAULT '',
    size bigint,
    created_at double precision NOT NULL,
    team text
);
CREATE TABLE laneway.upload_piece (
    upload_id text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (upload_id, number)
);
