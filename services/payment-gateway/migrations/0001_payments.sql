-- What billing allows to be paid, as it said it.
CREATE TABLE checkout (
    checkout_id  uuid PRIMARY KEY,
    household_id uuid NOT NULL,
    opened       jsonb NOT NULL,
    expires_at   timestamptz NOT NULL
);

-- One attempt at one bank. Written before the bank is asked; amount, account, mode and reference never change.
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
    amount_cents   bigint NOT NULL CHECK (amount_cents > 0),
    status         text NOT NULL CHECK (status IN
        ('created', 'pending', 'processing', 'confirmed', 'refused', 'cancelled', 'expired', 'failed', 'review')),
    bank_reference text,
    payer_url      text,
    ticket_number  text UNIQUE,
    ticket         jsonb,
    created_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    look_up_at     timestamptz,
    asked_at       timestamptz,
    last_word      text CHECK (last_word IN ('paid', 'refused', 'abandoned', 'in_progress', 'unknown')),
    UNIQUE (bank, bank_reference),
    CHECK ((status = 'confirmed') = (ticket_number IS NOT NULL)),
    CHECK ((ticket_number IS NULL) = (ticket IS NULL)),
    CHECK (status IN ('created', 'failed') OR bank_reference IS NOT NULL)
);
CREATE UNIQUE INDEX one_open_attempt ON payment (checkout_id) WHERE status IN ('created', 'pending', 'processing');
CREATE INDEX ON payment (look_up_at) WHERE look_up_at IS NOT NULL;
CREATE INDEX ON payment (created_at DESC, payment_id);

-- Every move of every attempt; the CHECK is the transition table of the domain.
CREATE TABLE payment_move (
    move_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id  uuid NOT NULL REFERENCES payment,
    from_status text NOT NULL,
    to_status   text NOT NULL,
    said_by     text NOT NULL CHECK (said_by IN ('bank', 'parent', 'clock')),
    reason      text NOT NULL,
    at          timestamptz NOT NULL,
    CONSTRAINT known_move CHECK ((from_status, to_status) IN (
        ('created', 'pending'), ('created', 'failed'),
        ('pending', 'processing'), ('pending', 'confirmed'), ('pending', 'refused'), ('pending', 'cancelled'),
        ('pending', 'expired'), ('pending', 'review'),
        ('processing', 'confirmed'), ('processing', 'refused'), ('processing', 'cancelled'),
        ('processing', 'expired'), ('processing', 'review'),
        ('refused', 'confirmed'), ('refused', 'review'),
        ('cancelled', 'confirmed'), ('cancelled', 'review'),
        ('expired', 'confirmed'), ('expired', 'review')))
);
CREATE INDEX ON payment_move (payment_id, move_id);

-- Every word of a bank, as it came: notifications, and its answers to our questions. The same bytes are kept once.
CREATE TABLE bank_word (
    word_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bank        text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('notice', 'answer')),
    payment_id  uuid REFERENCES payment,
    digest      bytea NOT NULL,
    query       text NOT NULL,
    body        bytea NOT NULL,
    received_at timestamptz NOT NULL,
    UNIQUE (bank, kind, digest)
);
CREATE INDEX ON bank_word (payment_id, word_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is never changed', TG_TABLE_NAME; END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payment_move
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON bank_word
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The last ticket number of each year; a number is taken in the transaction that confirms, so none is skipped.
CREATE TABLE ticket_series (
    year        integer PRIMARY KEY,
    last_number integer NOT NULL CHECK (last_number > 0)
);
