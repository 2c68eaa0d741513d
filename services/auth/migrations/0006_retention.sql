-- What is older than it is kept is found by an index, oldest first.
CREATE INDEX IF NOT EXISTS session_over ON session ((coalesce(ended_at, last_used_at)));
CREATE INDEX IF NOT EXISTS link_expires ON link (expires_at);
CREATE INDEX IF NOT EXISTS sign_in_guard_last ON sign_in_guard (last_at);
CREATE INDEX IF NOT EXISTS family_import_over ON family_import (made_at) WHERE status NOT IN ('reading', 'applying');
