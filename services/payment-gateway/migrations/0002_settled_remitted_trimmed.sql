-- What billing settled with a payment: the end of its story here.
CREATE TABLE settlement (
    payment_id uuid NOT NULL REFERENCES payment,
    invoice_id uuid NOT NULL,
    number     text NOT NULL,
    settled_at timestamptz NOT NULL,
    PRIMARY KEY (payment_id, invoice_id)
);

-- A bank's remittance as the till keeper sent it; the same bytes for the same account are one file.
CREATE TABLE remittance (
    remittance_id    uuid PRIMARY KEY,
    bank             text NOT NULL,
    digest           bytea NOT NULL,
    file_name        text NOT NULL,
    lines            integer NOT NULL CHECK (lines > 0),
    new_lines        integer NOT NULL CHECK (new_lines BETWEEN 0 AND lines),
    imported_by      uuid NOT NULL,
    imported_by_name text NOT NULL,
    imported_at      timestamptz NOT NULL,
    UNIQUE (bank, digest)
);
CREATE INDEX ON remittance (imported_at DESC);

-- One movement that a bank says it remitted, or took back. Files overlap: the same movement is kept once; times tells
-- apart movements of one file that look alike in everything.
CREATE TABLE remittance_line (
    line_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    remittance_id  uuid NOT NULL REFERENCES remittance,
    line           integer NOT NULL CHECK (line > 1),
    bank           text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('taken', 'returned')),
    day            date NOT NULL,
    amount_cents   bigint NOT NULL CHECK (amount_cents > 0),
    reference      text NOT NULL,
    bank_reference text NOT NULL,
    authorisation  text NOT NULL,
    times          integer NOT NULL CHECK (times > 0),
    payment_id     uuid REFERENCES payment,
    CHECK (reference <> '' OR bank_reference <> '' OR authorisation <> ''),
    UNIQUE (bank, kind, day, amount_cents, reference, bank_reference, authorisation, times)
);
CREATE INDEX ON remittance_line (payment_id);
CREATE INDEX ON remittance_line (bank, day);
CREATE INDEX nobodys_line ON remittance_line (line_id) WHERE payment_id IS NULL;

-- What the till keeper found out about a difference; its name holds the facts, so that new facts open it again.
CREATE TABLE remittance_note (
    difference   text PRIMARY KEY,
    reason       text NOT NULL CHECK (length(reason) >= 3),
    noted_by     uuid NOT NULL,
    noted_by_name text NOT NULL,
    noted_at     timestamptz NOT NULL
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON remittance_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON remittance_note
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The journal is searched, and trimmed once: the bytes go, their digest and verdict stay.
ALTER TABLE bank_word ADD COLUMN trimmed_at timestamptz;
CREATE INDEX ON bank_word (received_at DESC, word_id DESC);
CREATE INDEX to_trim ON bank_word (received_at) WHERE trimmed_at IS NULL;
CREATE INDEX nobodys_word ON bank_word (word_id) WHERE payment_id IS NULL;
CREATE INDEX addresses_to_trim ON payment (changed_at) WHERE payer_email <> '';

DROP TRIGGER append_only ON bank_word;
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON bank_word
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER trimmed_only BEFORE UPDATE ON bank_word FOR EACH ROW
    WHEN (OLD.trimmed_at IS NOT NULL OR NEW.trimmed_at IS NULL OR NEW.body <> '' OR NEW.query <> ''
        OR NEW.headers <> '{}' OR NEW.source <> ''
        OR (OLD.word_id, OLD.bank, OLD.kind, OLD.verdict, OLD.payment_id, OLD.digest, OLD.received_at)
        IS DISTINCT FROM (NEW.word_id, NEW.bank, NEW.kind, NEW.verdict, NEW.payment_id, NEW.digest, NEW.received_at))
    EXECUTE FUNCTION refuse_change();
