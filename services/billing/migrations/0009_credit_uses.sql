-- A household's credit that paid invoices already published: at the family's wish, by staff, or of itself (used_by is
-- then null) before a payment or a reminder. Its movement in the ledger is named credit-use/<id>.
CREATE TABLE credit_use (
    credit_use_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    household_id  uuid NOT NULL REFERENCES household,
    amount_cents  bigint NOT NULL CHECK (amount_cents > 0),
    used_by       uuid,
    used_at       timestamptz NOT NULL
);
CREATE INDEX ON credit_use (household_id);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_use
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
