-- Grants by urgency; what a worker of the version before asks for (`demand`) counts as standard. A part is reserved
-- (`share`, `slots`) until its holder goes by a smaller one; `lacks_*` is due, and not there yet.
ALTER TABLE grant_share ADD COLUMN immediate REAL NOT NULL DEFAULT 0;
ALTER TABLE grant_share ADD COLUMN urgent REAL NOT NULL DEFAULT 0;
ALTER TABLE grant_share ADD COLUMN standard REAL;
ALTER TABLE grant_share ADD COLUMN relaxed REAL NOT NULL DEFAULT 0;
ALTER TABLE grant_share ADD COLUMN lacks_share REAL NOT NULL DEFAULT 0;
ALTER TABLE grant_share ADD COLUMN lacks_slots INTEGER NOT NULL DEFAULT 0;

-- Calls that workers say to have made of a resource.
CREATE TABLE calls_made (
    resource TEXT PRIMARY KEY,
    calls INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
