-- The worker in the server whose client waits for the task, where that client cannot come back for it.
ALTER TABLE laneway.task ADD COLUMN answers_to text COLLATE "C";
CREATE INDEX task_answers_to ON laneway.task (answers_to)
    WHERE answers_to IS NOT NULL AND state IN ('ready', 'running', 'waiting');
