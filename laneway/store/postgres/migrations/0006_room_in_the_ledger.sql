-- Each line is written twice, and longer at the end of its call: where the second finds room on its page, no index is
-- written again (and the table is no larger: full pages left their old lines' room unused).
ALTER TABLE laneway.attempt SET (fillfactor = 45);
