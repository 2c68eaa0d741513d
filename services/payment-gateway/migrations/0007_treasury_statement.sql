-- A third book beside ours and the bank's: the statement of the treasury's account, where the money arrives.
ALTER TABLE remittance ADD COLUMN source text NOT NULL DEFAULT 'bank' CHECK (source IN ('bank', 'treasury')),
    DROP CONSTRAINT remittance_bank_digest_key, ADD UNIQUE (bank, source, digest);
ALTER TABLE remittance_line ADD COLUMN source text NOT NULL DEFAULT 'bank' CHECK (source IN ('bank', 'treasury'));
DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE remittance_line DROP CONSTRAINT %I', conname) FROM pg_constraint
    WHERE conrelid = 'remittance_line'::regclass AND contype = 'u'); END $$;
ALTER TABLE remittance_line ADD CONSTRAINT movement_once UNIQUE
    (bank, source, kind, day, amount_cents, reference, bank_reference, authorisation, times);
CREATE INDEX ON remittance_line (source, bank, day);

-- A treasury line that names no payment may be the sum of a day's remittance: of equal sums the first is the first
-- day's. It is no older than that day, and at most ten days younger.
CREATE VIEW lump AS
    WITH arrived AS (
        SELECT line_id, bank, day, amount_cents, row_number() OVER (PARTITION BY bank, amount_cents ORDER BY day, line_id) AS turn
        FROM remittance_line WHERE source = 'treasury' AND kind = 'taken' AND payment_id IS NULL
    ), remitted AS (
        SELECT *, row_number() OVER (PARTITION BY bank, amount_cents ORDER BY day) AS turn FROM (
            SELECT bank, day, sum(CASE kind WHEN 'taken' THEN amount_cents ELSE -amount_cents END)::bigint AS amount_cents
            FROM remittance_line WHERE source = 'bank' GROUP BY bank, day) d
    )
    SELECT a.line_id, a.bank, r.day FROM arrived a JOIN remitted r USING (bank, amount_cents, turn)
    WHERE a.day BETWEEN r.day AND r.day + 10;

-- The payments whose money the treasury has: by a line of their own, or within a day's sum.
CREATE VIEW arrived_at_treasury AS
    SELECT payment_id FROM remittance_line WHERE source = 'treasury' AND kind = 'taken' AND payment_id IS NOT NULL
    UNION
    SELECT b.payment_id FROM remittance_line b JOIN lump l ON l.bank = b.bank AND l.day = b.day
    WHERE b.source = 'bank' AND b.kind = 'taken' AND b.payment_id IS NOT NULL;
