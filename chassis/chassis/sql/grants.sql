-- What a running program may do with the tables of the chassis. A message is written once; that it was published, and
-- that it may be said again, is all that changes of it. What was applied to the tables is the owner's to say.
GRANT SELECT ON schema_migration TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (published_at) ON outbox TO :running_role;
GRANT SELECT, INSERT, DELETE ON inbox TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (key, answer, answered_at) ON idempotency_key TO :running_role;
