-- Results that nobody here knows, refunds that a bank makes by itself, and signed notifications apart from forged ones.
-- contradicted_cents is money that counts here and that the bank says it gave or took back, until a person has looked.
ALTER TABLE payment ADD COLUMN contradicted_cents bigint NOT NULL DEFAULT 0 CHECK (contradicted_cents >= 0);
ALTER TABLE payment DROP CONSTRAINT payment_last_word_check, ADD CONSTRAINT payment_last_word_check CHECK (last_word IN
    ('paid', 'refused', 'abandoned', 'in_progress', 'unknown', 'given_back', 'contested', 'contest_won',
     'contest_lost', 'refund_failed', 'unrecognised'));
DROP INDEX wants_a_person;
CREATE INDEX wants_a_person ON payment (changed_at) WHERE status IN ('review', 'disputed') OR surplus_cents > 0
    OR unanswered > 0 OR failed_refund_cents > 0 OR contradicted_cents > 0;
ALTER TABLE bank_word DROP CONSTRAINT bank_word_verdict_check, ADD CONSTRAINT bank_word_verdict_check
    CHECK (verdict IN ('hint', 'verified', 'forged', 'unknown', 'unreadable', 'answer'));

-- A refund that a bank names in a notification of its own: each counts once, and their sum is what is back.
CREATE TABLE bank_refund (
    payment_id   uuid NOT NULL REFERENCES payment,
    bank_refund  text NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    told_at      timestamptz NOT NULL,
    PRIMARY KEY (payment_id, bank_refund)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_refund
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a bank signed and that reached no payment, an hour: of a payment unknown here, unreadable, or about other things.
-- unknown_notice goes on counting what nobody signed, so that a stranger's calls take the room of no bank's.
CREATE TABLE signed_notice (
    bank text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('unknown', 'unreadable', 'unrelated')),
    hour timestamptz NOT NULL,
    seen integer NOT NULL CHECK (seen > 0),
    PRIMARY KEY (bank, kind, hour)
);

-- A person may say how an attempt ended that its bank left without a result.
ALTER TABLE payment_move DROP CONSTRAINT known_move, ADD CONSTRAINT known_move CHECK (
    (from_status, to_status, said_by) IN (
        ('pending', 'confirmed', 'till_keeper'),
        ('processing', 'confirmed', 'till_keeper'),
        ('refused', 'confirmed', 'till_keeper'),
        ('cancelled', 'confirmed', 'till_keeper'),
        ('expired', 'confirmed', 'till_keeper'),
        ('pending', 'refused', 'till_keeper'), ('processing', 'refused', 'till_keeper'),
        ('review', 'refused', 'till_keeper'),
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
