-- What billing allows to be paid, as it said it.
CREATE TABLE checkout (
    checkout_id  uuid PRIMARY KEY,
    household_id uuid NOT NULL,
    opened       jsonb NOT NULL,
    expires_at   timestamptz NOT NULL
);

-- One attempt at one bank. Written before the bank is asked; amount, account, mode and reference never change.
-- number counts the attempts of a bank's account on a UTC day; taken_cents is what the bank says it took; said is
-- the bank's answer that is under review; surplus_cents is what billing found to be beyond what was due.
CREATE TABLE payment (
    payment_id     uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    checkout_id    uuid NOT NULL REFERENCES checkout,
    household_id   uuid NOT NULL,
    payer_id       uuid NOT NULL,
    payer_email    text NOT NULL,
    bank           text NOT NULL,
    account        text NOT NULL,
    mode           text NOT NULL CHECK (mode IN ('test', 'production')),
    reference      text NOT NULL UNIQUE,
    day            date NOT NULL,
    number         integer NOT NULL CHECK (number > 0),
    amount_cents   bigint NOT NULL CHECK (amount_cents > 0),
    status         text NOT NULL CHECK (status IN
        ('created', 'pending', 'processing', 'confirmed', 'refused', 'cancelled', 'expired', 'failed', 'review',
         'partially_refunded', 'refunded', 'disputed', 'charged_back', 'reversed')),
    bank_reference text,
    payer_url      text,
    ticket_number  text UNIQUE,
    ticket         jsonb,
    taken_cents    bigint CHECK (taken_cents > 0),
    refunded_cents bigint NOT NULL DEFAULT 0,
    surplus_cents  bigint NOT NULL DEFAULT 0 CHECK (surplus_cents >= 0),
    said           jsonb,
    created_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    look_up_at     timestamptz,
    asked_at       timestamptz,
    hinted_at      timestamptz,
    unanswered     integer NOT NULL DEFAULT 0,
    last_word      text CHECK (last_word IN ('paid', 'refused', 'abandoned', 'in_progress', 'unknown')),
    UNIQUE (bank, bank_reference),
    UNIQUE (bank, day, number),
    CONSTRAINT ticket_when_confirmed CHECK (CASE
        WHEN status IN ('confirmed', 'partially_refunded', 'disputed', 'charged_back', 'reversed')
            THEN ticket_number IS NOT NULL AND taken_cents IS NOT NULL
        WHEN status = 'refunded' THEN true
        ELSE ticket_number IS NULL END),
    CHECK ((ticket_number IS NULL) = (ticket IS NULL)),
    CHECK (status IN ('created', 'failed') OR bank_reference IS NOT NULL),
    CHECK (status <> 'review' OR said IS NOT NULL),
    CONSTRAINT never_gives_back_more CHECK (refunded_cents BETWEEN 0 AND coalesce(taken_cents, amount_cents)),
    CHECK (status <> 'partially_refunded' OR refunded_cents BETWEEN 1 AND taken_cents - 1)
);
CREATE UNIQUE INDEX one_open_attempt ON payment (checkout_id) WHERE status IN ('created', 'pending', 'processing');
CREATE INDEX ON payment (look_up_at) WHERE look_up_at IS NOT NULL;
CREATE INDEX ON payment (created_at DESC, payment_id);
CREATE INDEX wants_a_person ON payment (changed_at)
    WHERE status IN ('review', 'disputed') OR surplus_cents > 0 OR unanswered > 0;

CREATE FUNCTION refuse_thaw() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'what was frozen of a payment never changes'; END $$;
CREATE TRIGGER frozen BEFORE UPDATE ON payment FOR EACH ROW
    WHEN ((OLD.payment_id, OLD.checkout_id, OLD.household_id, OLD.payer_id, OLD.bank, OLD.account, OLD.mode,
           OLD.reference, OLD.day, OLD.number, OLD.amount_cents)
        IS DISTINCT FROM (NEW.payment_id, NEW.checkout_id, NEW.household_id, NEW.payer_id, NEW.bank, NEW.account,
           NEW.mode, NEW.reference, NEW.day, NEW.number, NEW.amount_cents))
    EXECUTE FUNCTION refuse_thaw();

-- The last number of each account's day.
CREATE TABLE attempt_series (
    bank        text NOT NULL,
    day         date NOT NULL,
    last_number integer NOT NULL CHECK (last_number > 0),
    PRIMARY KEY (bank, day)
);

-- What the till keeper decided, why, and where the proof is.
CREATE TABLE till_decision (
    decision_id     uuid PRIMARY KEY,
    payment_id      uuid NOT NULL REFERENCES payment,
    command         text NOT NULL,
    amount_cents    bigint CHECK (amount_cents > 0),
    reason          text NOT NULL CHECK (length(reason) >= 3),
    evidence        text NOT NULL CHECK (length(evidence) >= 3),
    decided_by      uuid NOT NULL,
    decided_by_name text NOT NULL,
    decided_at      timestamptz NOT NULL
);
CREATE INDEX ON till_decision (payment_id);

-- Every move of every attempt; the CHECK is the transition table of the domain.
CREATE TABLE payment_move (
    move_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id   uuid NOT NULL REFERENCES payment,
    from_status  text NOT NULL,
    to_status    text NOT NULL,
    said_by      text NOT NULL,
    reason       text NOT NULL,
    amount_cents bigint CHECK (amount_cents > 0),
    decision_id  uuid REFERENCES till_decision,
    at           timestamptz NOT NULL,
    CHECK ((said_by = 'till_keeper') = (decision_id IS NOT NULL)),
    CONSTRAINT known_move CHECK ((from_status, to_status, said_by) IN (
        ('created', 'pending', 'bank'), ('created', 'failed', 'bank'), ('created', 'failed', 'clock'),
        ('pending', 'processing', 'bank'), ('pending', 'refused', 'bank'), ('processing', 'refused', 'bank'),
        ('pending', 'cancelled', 'bank'), ('pending', 'cancelled', 'parent'), ('processing', 'cancelled', 'bank'),
        ('processing', 'cancelled', 'parent'), ('pending', 'expired', 'bank'), ('processing', 'expired', 'bank'),
        ('pending', 'confirmed', 'bank'), ('processing', 'confirmed', 'bank'), ('refused', 'confirmed', 'bank'),
        ('cancelled', 'confirmed', 'bank'), ('expired', 'confirmed', 'bank'), ('pending', 'review', 'bank'),
        ('processing', 'review', 'bank'), ('refused', 'review', 'bank'), ('cancelled', 'review', 'bank'),
        ('expired', 'review', 'bank'), ('review', 'confirmed', 'till_keeper'),
        ('review', 'refunded', 'till_keeper'), ('confirmed', 'partially_refunded', 'till_keeper'),
        ('partially_refunded', 'partially_refunded', 'till_keeper'), ('confirmed', 'refunded', 'till_keeper'),
        ('partially_refunded', 'refunded', 'till_keeper'), ('confirmed', 'disputed', 'till_keeper'),
        ('partially_refunded', 'disputed', 'till_keeper'), ('disputed', 'confirmed', 'till_keeper'),
        ('disputed', 'partially_refunded', 'till_keeper'), ('disputed', 'charged_back', 'till_keeper'),
        ('confirmed', 'reversed', 'till_keeper'), ('partially_refunded', 'reversed', 'till_keeper')))
);
CREATE INDEX ON payment_move (payment_id, move_id);
CREATE INDEX ON payment_move (at);

-- Every word of a bank, as it came: notifications, and its answers to our questions. The same bytes are kept once.
CREATE TABLE bank_word (
    word_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bank        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('notice', 'answer')),
    verdict     text NOT NULL CHECK (verdict IN ('hint', 'verified', 'forged', 'unknown', 'answer')),
    payment_id  uuid REFERENCES payment,
    digest      bytea NOT NULL,
    query       text NOT NULL,
    headers     jsonb NOT NULL DEFAULT '{}',
    body        bytea NOT NULL,
    source      text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL,
    UNIQUE (bank, kind, digest)
);
CREATE INDEX ON bank_word (payment_id, word_id);

-- How often each bank's door was called, an hour, with what names nothing here: only the first calls are kept whole.
CREATE TABLE unknown_notice (
    bank text NOT NULL,
    hour timestamptz NOT NULL,
    seen integer NOT NULL CHECK (seen > 0),
    PRIMARY KEY (bank, hour)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is never changed', TG_TABLE_NAME; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_move
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON till_decision
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_word
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The last ticket number of each year; a number is taken in the transaction that confirms, so none is skipped.
CREATE TABLE ticket_series (
    year        integer PRIMARY KEY,
    last_number integer NOT NULL CHECK (last_number > 0)
);
