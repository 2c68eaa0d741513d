-- Banks say more than paid or not: what they gave back, and disputes. A bank that cannot be asked has the clock's word.
-- bank_payment is the bank's name for the money itself, where that is another than the one of its page.
-- bank_key is what a refund was asked for under: the bank makes it once, however often it is asked.
ALTER TABLE till_decision ADD COLUMN bank_key text;
ALTER TABLE payment ADD COLUMN bank_payment text, ADD UNIQUE (bank, bank_payment);
ALTER TABLE payment DROP CONSTRAINT payment_last_word_check, ADD CONSTRAINT payment_last_word_check CHECK (last_word IN
    ('paid', 'refused', 'abandoned', 'in_progress', 'unknown', 'given_back', 'contested', 'contest_won',
     'contest_lost'));
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
        ('partially_refunded', 'refunded', 'till_keeper'), ('confirmed', 'disputed', 'bank'),
        ('confirmed', 'disputed', 'till_keeper'), ('partially_refunded', 'disputed', 'bank'),
        ('partially_refunded', 'disputed', 'till_keeper'), ('disputed', 'confirmed', 'bank'),
        ('disputed', 'confirmed', 'till_keeper'), ('disputed', 'partially_refunded', 'bank'),
        ('disputed', 'partially_refunded', 'till_keeper'), ('disputed', 'charged_back', 'bank'),
        ('disputed', 'charged_back', 'till_keeper'), ('confirmed', 'reversed', 'till_keeper'),
        ('partially_refunded', 'reversed', 'till_keeper')));
