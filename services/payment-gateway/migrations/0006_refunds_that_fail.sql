-- A refund that the bank gave up days after it had made it: told once each, and waiting until the till keeper decides.
-- failed_refunds counts those of a payment, for its bank's totals mean something else from then on;
-- failed_refund_cents is what still waits for a decision. undone_cents of a move counts as paid again.
CREATE TABLE failed_refund (
    payment_id   uuid NOT NULL REFERENCES payment,
    bank_refund  text NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    told_at      timestamptz NOT NULL,
    PRIMARY KEY (payment_id, bank_refund)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON failed_refund
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE payment ADD COLUMN failed_refunds integer NOT NULL DEFAULT 0 CHECK (failed_refunds >= 0),
    ADD COLUMN failed_refund_cents bigint NOT NULL DEFAULT 0 CHECK (failed_refund_cents >= 0);
ALTER TABLE payment DROP CONSTRAINT payment_last_word_check, ADD CONSTRAINT payment_last_word_check CHECK (last_word IN
    ('paid', 'refused', 'abandoned', 'in_progress', 'unknown', 'given_back', 'contested', 'contest_won',
     'contest_lost', 'refund_failed'));
DROP INDEX wants_a_person;
CREATE INDEX wants_a_person ON payment (changed_at)
    WHERE status IN ('review', 'disputed') OR surplus_cents > 0 OR unanswered > 0 OR failed_refund_cents > 0;
ALTER TABLE payment_move ADD COLUMN undone_cents bigint CHECK (undone_cents > 0);
ALTER TABLE payment_move DROP CONSTRAINT known_move, ADD CONSTRAINT known_move CHECK (
    (from_status, to_status, said_by) IN (
        ('created', 'pending', 'bank'), ('created', 'failed', 'bank'), ('created', 'failed', 'clock'),
        ('pending', 'processing', 'bank'), ('pending', 'refused', 'bank'), ('processing', 'refused', 'bank'),
        ('pending', 'cancelled', 'bank'), ('pending', 'cancelled', 'parent'), ('processing', 'cancelled', 'bank'),
        ('processing', 'cancelled', 'parent'), ('pending', 'expired', 'bank'), ('processing', 'expired', 'bank'),
        ('pending', 'expired', 'clock'), ('processing', 'expired', 'clock'), ('pending', 'confirmed', 'bank'),
        ('processing', 'confirmed', 'bank'), ('refused', 'confirmed', 'bank'), ('cancelled', 'confirmed', 'bank'),
        ('expired', 'confirmed', 'bank'), ('pending', 'review', 'bank'), ('processing', 'review', 'bank'),
        ('refused', 'review', 'bank'), ('cancelled', 'review', 'bank'), ('expired', 'review', 'bank'),
        ('review', 'confirmed', 'till_keeper'), ('review', 'refunded', 'till_keeper'),
        ('confirmed', 'partially_refunded', 'bank'), ('confirmed', 'partially_refunded', 'till_keeper'),
        ('partially_refunded', 'partially_refunded', 'bank'),
        ('partially_refunded', 'partially_refunded', 'till_keeper'), ('confirmed', 'refunded', 'bank'),
        ('confirmed', 'refunded', 'till_keeper'), ('partially_refunded', 'refunded', 'bank'),
        ('partially_refunded', 'refunded', 'till_keeper'), ('refunded', 'partially_refunded', 'till_keeper'),
        ('refunded', 'confirmed', 'till_keeper'), ('partially_refunded', 'confirmed', 'till_keeper'),
        ('confirmed', 'disputed', 'bank'), ('confirmed', 'disputed', 'till_keeper'),
        ('partially_refunded', 'disputed', 'bank'), ('partially_refunded', 'disputed', 'till_keeper'),
        ('disputed', 'confirmed', 'bank'), ('disputed', 'confirmed', 'till_keeper'),
        ('disputed', 'partially_refunded', 'bank'), ('disputed', 'partially_refunded', 'till_keeper'),
        ('disputed', 'charged_back', 'bank'), ('disputed', 'charged_back', 'till_keeper'),
        ('confirmed', 'reversed', 'till_keeper'), ('partially_refunded', 'reversed', 'till_keeper')));
