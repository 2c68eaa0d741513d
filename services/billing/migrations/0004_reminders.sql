-- When invoices past their day are reminded of, in days after it; the newest row holds.
CREATE TABLE reminder_rule (
    rule_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    days     integer[] NOT NULL CHECK (cardinality(days) <= 3),
    saved_by uuid NOT NULL,
    saved_at timestamptz NOT NULL
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON reminder_rule
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Each step of an invoice once, whatever the number of replicas.
CREATE TABLE reminder (
    invoice_id  uuid NOT NULL REFERENCES invoice,
    step        integer NOT NULL CHECK (step > 0),
    left_cents  bigint NOT NULL CHECK (left_cents > 0),
    reminded_on date NOT NULL,
    reminded_at timestamptz NOT NULL,
    PRIMARY KEY (invoice_id, step)
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON reminder
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Invoices that nobody is to be reminded of, and why; the newest row of an invoice holds, without a reason it is over.
-- Nobody paused it by hand where paused_by is missing: the payment was contested at the bank.
CREATE TABLE reminder_pause (
    pause_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id uuid NOT NULL REFERENCES invoice,
    reason     text,
    paused_by  uuid,
    paused_at  timestamptz NOT NULL
);
CREATE INDEX ON reminder_pause (invoice_id, pause_id);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON reminder_pause
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
