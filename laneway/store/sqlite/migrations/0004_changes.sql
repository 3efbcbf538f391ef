-- changed: when a cell's ready tasks changed last, as a number that only grows. Who looks again reads only those cells
-- whose number is above the highest that he knows. By a trigger, so that it also holds for a process of the version
-- before that still writes to this store.
ALTER TABLE cell ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX cell_changed ON cell (changed);
INSERT INTO sequence (name, value) VALUES ('cell', 0);
CREATE TRIGGER cell_ready_changed AFTER UPDATE OF ready ON cell BEGIN
    UPDATE sequence SET value = value + 1 WHERE name = 'cell';
    UPDATE cell SET changed = (SELECT value FROM sequence WHERE name = 'cell') WHERE id = new.id;
END;
