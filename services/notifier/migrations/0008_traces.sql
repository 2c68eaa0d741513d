-- The trace in which the mail was intended: sending it goes on in it.
ALTER TABLE mail ADD COLUMN traceparent text CHECK (length(traceparent) <= 100);
