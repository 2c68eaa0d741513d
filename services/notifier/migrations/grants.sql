-- What the running program may do, table by table; `migrate` applies this file each time, and revokes what is not in it.
-- Whom to write to.
GRANT SELECT, INSERT, UPDATE ON guardian, household TO :running_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON preference, enrolment TO :running_role;
-- What is written.
GRANT SELECT, INSERT, UPDATE (ends_at, mail_cursor, mailed_at) ON announcement TO :running_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON mail TO :running_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON domain_pause TO :running_role;
-- What came back.
GRANT SELECT, INSERT, DELETE ON bounce TO :running_role;
GRANT SELECT, INSERT, UPDATE (uid_validity, last_uid) ON bounce_mailbox TO :running_role;
GRANT SELECT, INSERT, DELETE ON returned_address TO :running_role;
