-- Files that clients of the service sent, in pieces. `size`: NULL until all of them are there.
CREATE TABLE upload (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL DEFAULT '',
    purpose TEXT NOT NULL DEFAULT '',
    size INTEGER,
    created_at REAL NOT NULL,
    team TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE upload_piece (
    upload_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (upload_id, number)
) STRICT;
