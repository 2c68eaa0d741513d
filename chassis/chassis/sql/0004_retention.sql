-- What is older than it is kept is found by an index, oldest first (chassis.retention). On a large table make them beforehand,
-- by CREATE INDEX CONCURRENTLY under these names.
CREATE INDEX IF NOT EXISTS outbox_published ON outbox (published_at) WHERE published_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS idempotency_key_answered ON idempotency_key (answered_at);
