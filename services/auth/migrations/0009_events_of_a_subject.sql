-- An erasure deletes the events of a household and of its people; a table of 30 days of events is not read whole for it.
-- On a large table make it beforehand, by CREATE INDEX CONCURRENTLY under this name.
CREATE INDEX IF NOT EXISTS outbox_subject ON outbox (subject);
