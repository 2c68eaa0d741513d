-- What the running program may do, table by table; `migrate` applies this file each time, and revokes what is not in it.
-- Registry.
GRANT SELECT, INSERT, UPDATE ON household TO :running_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON child, household_child TO :running_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON family_import TO :running_role;
GRANT SELECT, INSERT, UPDATE (name, name_key, closed, version) ON school TO :running_role;
GRANT SELECT, INSERT ON school_class TO :running_role;
-- Accounts, and what lets somebody in: none is ever deleted, those that are short-lived are.
GRANT SELECT, INSERT, UPDATE ON account TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (used_at, code_hash, is_keyed) ON recovery_code TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (last_used_at, ended_at, code_given) ON session TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (position) ON reset_wish TO :running_role;  -- UPDATE: to lock the one it answers
GRANT SELECT, INSERT, DELETE, UPDATE (used_at) ON link TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (last_used_at) ON device TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (failures, last_at, locked_until) ON sign_in_guard TO :running_role;
GRANT SELECT, INSERT, DELETE, UPDATE (attempts, counted_at, locked_until) ON attempt_limit TO :running_role;
-- A key signs from a day to another; nothing else of it changes.
GRANT SELECT, INSERT, UPDATE (retires_at) ON signing_key TO :running_role;
-- What happened is never rewritten; a trigger keeps what is younger than 180 days from being deleted.
GRANT SELECT, INSERT, DELETE ON security_fact TO :running_role;
