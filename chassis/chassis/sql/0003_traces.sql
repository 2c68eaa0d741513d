-- Where an event was added, as W3C writes it (traceparent), for whoever wants traces.
ALTER TABLE outbox ADD COLUMN traceparent text CHECK (length(traceparent) <= 100);
