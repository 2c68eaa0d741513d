-- A payment's story asks for its mails.
CREATE INDEX ON mail ((event ->> 'payment_id')) WHERE event ? 'payment_id';
