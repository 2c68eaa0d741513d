-- A published event stays a while: after a disaster that took the broker's queues it can be said again.
ALTER TABLE outbox ADD COLUMN published_at timestamptz;
CREATE INDEX outbox_waiting ON outbox (position) WHERE published_at IS NULL;
CREATE INDEX inbox_received ON inbox (received_at);
