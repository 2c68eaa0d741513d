-- What payment-gateway does to the database for one notification that is only a hint to ask, for pgbench.
\set i :i + 1
\set number :client_id * :each + :i
BEGIN;
SELECT p.*, c.opened FROM payment p JOIN checkout c USING (checkout_id) WHERE p.bank = :bank AND (p.bank_reference = left(upper(md5(:day::text || '-' || :number::text)), 30) OR p.reference = left(upper(md5(:day::text || '-' || :number::text)), 30) OR p.bank_payment = left(upper(md5(:day::text || '-' || :number::text)), 30)) FOR UPDATE OF p \gset
INSERT INTO bank_word (bank, kind, verdict, payment_id, digest, query, headers, body, source, received_at) SELECT :bank, 'notice', 'hint', :payment_id, sha256(convert_to(:payment_id, 'UTF8')), '', '{"Content-Type": "application/x-www-form-urlencoded"}', convert_to(:bank_reference, 'UTF8'), '127.0.0.1', now() WHERE (SELECT count(*) FROM bank_word WHERE payment_id = :payment_id AND kind = 'notice') < 8 ON CONFLICT DO NOTHING;
WITH hinted AS (UPDATE payment SET hinted_at = now(), look_up_at = least(look_up_at, greatest(now(), asked_at + interval '3 seconds')) WHERE payment_id = :payment_id) SELECT pg_notify('look_up_due', '');
COMMIT;
