-- What payment-gateway does to the database for one signed notification that confirms, for pgbench.
\set i :i + 1
\set number :client_id * :each + :i
BEGIN;
SELECT p.*, c.opened FROM payment p JOIN checkout c USING (checkout_id) WHERE p.bank = :bank AND (p.bank_reference = upper(md5(:day::text || '-' || :number::text)) OR p.reference = upper(md5(:day::text || '-' || :number::text)) OR p.bank_payment = upper(md5(:day::text || '-' || :number::text))) FOR UPDATE OF p \gset
INSERT INTO bank_word (bank, kind, verdict, payment_id, digest, query, headers, body, source, received_at) SELECT :bank, 'notice', 'verified', :payment_id, sha256(convert_to(:payment_id, 'UTF8')), '', '{"Content-Type": "application/x-www-form-urlencoded"}', convert_to(repeat('x', 550), 'UTF8'), '127.0.0.1', now() WHERE (SELECT count(*) FROM bank_word WHERE payment_id = :payment_id AND kind = 'notice') < 8 ON CONFLICT DO NOTHING;
WITH series AS (INSERT INTO ticket_series (year, last_number) VALUES (2000, 1) ON CONFLICT (year) DO UPDATE SET last_number = ticket_series.last_number + 1 RETURNING last_number), history AS (INSERT INTO payment_move (payment_id, from_status, to_status, said_by, reason, at) VALUES (:payment_id, 'pending', 'confirmed', 'bank', 'the bank took the money', now())) UPDATE payment SET last_word = 'paid', unanswered = 0, look_up_at = NULL, status = 'confirmed', ticket_number = 'B-' || last_number, ticket = jsonb_build_object('filler', repeat('x', 700)), taken_cents = amount_cents, changed_at = now() FROM series WHERE payment_id = :payment_id RETURNING payment.*;
WITH said AS (INSERT INTO outbox (type, subject, data, correlation_id) VALUES ('payment.confirmed', 'bench', jsonb_build_object('filler', repeat('x', 900)), 'bench')) SELECT pg_notify('outbox', '');
COMMIT;
