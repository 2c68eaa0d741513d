-- The trace in which the attempt began: what the bank says later goes on in it.
ALTER TABLE payment ADD COLUMN traceparent text CHECK (length(traceparent) <= 100);
