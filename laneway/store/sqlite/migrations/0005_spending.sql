-- What was spent on a day (days since 1970-01-01, UTC) in a lane, for a type, on an account: the sums of the ledger,
-- kept with it.
CREATE TABLE spending (
    day INTEGER NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    spent REAL NOT NULL,
    reserved REAL NOT NULL,
    PRIMARY KEY (day, kind, name)
) STRICT, WITHOUT ROWID;

-- cell_id: where the task stood when it was claimed; it may have moved since. Lines without one are from before, or from
-- a process of the version before: they count nowhere.
ALTER TABLE attempt ADD COLUMN cell_id INTEGER;
