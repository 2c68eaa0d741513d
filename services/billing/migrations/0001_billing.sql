-- Households as auth tells of them.
CREATE TABLE household (
    household_id uuid PRIMARY KEY,
    version      bigint NOT NULL CHECK (version > 0),
    reference    text NOT NULL,
    name         text NOT NULL,
    address      text[] NOT NULL
);

-- The children of a household as auth tells of them. One that left stays known: its days may still be invoiced.
CREATE TABLE child (
    household_id uuid NOT NULL REFERENCES household,
    child_id     uuid NOT NULL,
    first_name   text NOT NULL,
    last_name    text NOT NULL,
    birth_date   date NOT NULL,
    school       text NOT NULL,
    is_present   boolean NOT NULL,
    PRIMARY KEY (household_id, child_id)
);

-- What planning says was booked. The highest version of a day wins, in whatever order they come.
CREATE TABLE usage (
    household_id         uuid NOT NULL,
    child_id             uuid NOT NULL,
    activity_id          uuid NOT NULL,
    day                  date NOT NULL,
    booked               boolean NOT NULL,
    version              bigint NOT NULL CHECK (version > 0),
    child_first_name     text NOT NULL,
    activity_label       text NOT NULL,
    invoiced             boolean NOT NULL DEFAULT false,
    invoiced_price_cents bigint CHECK ((invoiced_price_cents IS NOT NULL) = invoiced),
    invoice_id           uuid CHECK ((invoice_id IS NOT NULL) = invoiced),
    PRIMARY KEY (household_id, child_id, activity_id, day)
);
CREATE INDEX usage_to_invoice ON usage (household_id, day) WHERE booked <> invoiced;

-- A month being invoiced. It goes household by household, in the order of their ids; after_household says how far.
CREATE TABLE invoice_run (
    run_id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    month           date NOT NULL CHECK (extract(day FROM month) = 1),
    due_on          date NOT NULL,
    straight        boolean NOT NULL,
    status          text NOT NULL CHECK (status IN ('drafting', 'ready', 'publishing', 'done', 'cancelled')),
    requested_by    uuid NOT NULL,
    published_by    uuid,
    created_at      timestamptz NOT NULL,
    after_household uuid NOT NULL,
    households      integer NOT NULL CHECK (households >= 0),
    households_done integer NOT NULL DEFAULT 0 CHECK (households_done >= 0),
    invoices        integer NOT NULL DEFAULT 0 CHECK (invoices >= 0),
    total_cents     bigint NOT NULL DEFAULT 0 CHECK (total_cents >= 0)
);
CREATE UNIQUE INDEX one_run_at_a_time ON invoice_run ((true)) WHERE status IN ('drafting', 'ready', 'publishing');

CREATE TABLE invoice_anomaly (
    run_id       uuid NOT NULL REFERENCES invoice_run,
    household_id uuid NOT NULL REFERENCES household,
    kind         text NOT NULL,
    detail       text NOT NULL,
    amount_cents bigint NOT NULL,
    PRIMARY KEY (run_id, household_id, kind)
);

-- Numbers of each series and year, drawn in the transaction that publishes: never skipped, never used twice.
CREATE TABLE document_counter (
    series text NOT NULL CHECK (series IN ('', 'A-', 'R-')),
    year   integer NOT NULL,
    last   integer NOT NULL CHECK (last >= 0),
    PRIMARY KEY (series, year)
);

CREATE TABLE invoice (
    invoice_id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    run_id              uuid NOT NULL REFERENCES invoice_run,
    number              text NOT NULL UNIQUE CHECK (number ~ '^\d{4}-\d{6}$'),
    household_id        uuid NOT NULL REFERENCES household,
    month               date NOT NULL,
    published_at        timestamptz NOT NULL,
    published_on        date NOT NULL,
    due_on              date NOT NULL,
    total_cents         bigint NOT NULL CHECK (total_cents > 0),
    issuer              jsonb NOT NULL,
    household_name      text NOT NULL,
    household_reference text NOT NULL,
    household_address   text[] NOT NULL
);
CREATE INDEX ON invoice (household_id, published_at DESC);

CREATE TABLE invoice_line (
    invoice_id       uuid NOT NULL REFERENCES invoice,
    position         integer NOT NULL,
    child_id         uuid NOT NULL,
    child_first_name text NOT NULL,
    activity_label   text NOT NULL,
    childcare        boolean NOT NULL,
    count            integer NOT NULL CHECK (count <> 0),
    unit_price_cents bigint NOT NULL CHECK (unit_price_cents >= 0),
    amount_cents     bigint NOT NULL CHECK (amount_cents = count * unit_price_cents),
    explanation      text NOT NULL,
    PRIMARY KEY (invoice_id, position)
);

ALTER TABLE usage ADD FOREIGN KEY (invoice_id) REFERENCES invoice;
CREATE INDEX ON usage (invoice_id) WHERE invoiced;

-- « Avoir »: what corrects an invoice, which it names.
CREATE TABLE credit_note (
    credit_note_id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number              text NOT NULL UNIQUE CHECK (number ~ '^A-\d{4}-\d{6}$'),
    invoice_id          uuid NOT NULL REFERENCES invoice,
    household_id        uuid NOT NULL REFERENCES household,
    published_at        timestamptz NOT NULL,
    published_on        date NOT NULL,
    published_by        uuid NOT NULL,
    total_cents         bigint NOT NULL CHECK (total_cents > 0),
    reason              text NOT NULL,
    issuer              jsonb NOT NULL,
    household_name      text NOT NULL,
    household_reference text NOT NULL,
    household_address   text[] NOT NULL
);
CREATE INDEX ON credit_note (invoice_id);
CREATE INDEX ON credit_note (household_id);

CREATE TABLE credit_note_line (
    credit_note_id    uuid NOT NULL REFERENCES credit_note,
    position          integer NOT NULL,
    child_first_name  text,
    label             text NOT NULL,
    count             integer NOT NULL CHECK (count > 0),
    unit_credit_cents bigint NOT NULL CHECK (unit_credit_cents > 0),
    amount_cents      bigint NOT NULL CHECK (amount_cents = count * unit_credit_cents),
    PRIMARY KEY (credit_note_id, position)
);

-- An invoice is never credited for more than it said.
CREATE FUNCTION check_credited() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT sum(total_cents) FROM credit_note WHERE invoice_id = NEW.invoice_id)
        > (SELECT total_cents FROM invoice WHERE invoice_id = NEW.invoice_id) THEN
        RAISE EXCEPTION 'invoice % is credited for more than it said', NEW.invoice_id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER within_invoice AFTER INSERT ON credit_note FOR EACH ROW EXECUTE FUNCTION check_credited();

-- Each published document is a link: its hash covers its content and the hash before it, so that none can be changed,
-- taken out or slipped in without every later hash being wrong. `python -m billing verify` follows it.
CREATE TABLE document_chain (
    position bigint PRIMARY KEY CHECK (position > 0),
    number   text NOT NULL UNIQUE,
    digest   bytea NOT NULL CHECK (length(digest) = 32),
    previous bytea UNIQUE CHECK ((previous IS NULL) = (position = 1)),
    hash     bytea NOT NULL UNIQUE CHECK (hash = sha256(coalesce(previous, ''::bytea) || digest)),
    FOREIGN KEY (previous) REFERENCES document_chain (hash)
);

-- The PDF of each published document, made once: the same bytes for ever.
CREATE TABLE document_pdf (
    number text PRIMARY KEY REFERENCES document_chain (number),
    pdf    bytea NOT NULL
);

-- Money given to the till keeper.
CREATE TABLE receipt (
    receipt_id    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    number        text NOT NULL UNIQUE CHECK (number ~ '^R-\d{4}-\d{6}$'),
    household_id  uuid NOT NULL REFERENCES household,
    means         text NOT NULL CHECK (means IN ('cash', 'cheque', 'transfer')),
    amount_cents  bigint NOT NULL CHECK (amount_cents > 0),
    surplus_cents bigint NOT NULL CHECK (surplus_cents BETWEEN 0 AND amount_cents),
    received_on   date NOT NULL,
    reference     text,
    recorded_by   uuid NOT NULL,
    recorded_at   timestamptz NOT NULL
);

-- Double entry: every transaction's entries sum to zero, checked at commit. Amounts in cents; debits are positive.
-- An account is split by what it is about: receivable by invoice, revenue by product, bank (money of any kind) by means
-- and till.
CREATE TABLE ledger_transaction (
    transaction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key            text NOT NULL UNIQUE,
    at             timestamptz NOT NULL,
    day            date NOT NULL,
    note           text
);
CREATE INDEX ON ledger_transaction (day);
CREATE TABLE ledger_entry (
    entry_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id bigint NOT NULL REFERENCES ledger_transaction,
    account        text NOT NULL CHECK (account IN ('receivable', 'revenue', 'bank', 'credit')),
    household_id   uuid NOT NULL,
    invoice_id     uuid REFERENCES invoice CHECK ((invoice_id IS NOT NULL) = (account = 'receivable')),
    product        text CHECK ((product IS NOT NULL) = (account = 'revenue')),
    means          text CHECK (means IN ('card', 'debit', 'cash', 'cheque', 'transfer')),
    till           text,
    amount_cents   bigint NOT NULL CHECK (amount_cents <> 0),
    CHECK ((means IS NULL AND till IS NULL) OR account = 'bank')
);
CREATE INDEX ON ledger_entry (transaction_id);
CREATE INDEX ON ledger_entry (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX ON ledger_entry (household_id, account);

CREATE FUNCTION check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT coalesce(sum(amount_cents), 0) <> 0 OR count(*) < 2
        FROM ledger_entry WHERE transaction_id = NEW.transaction_id) THEN
        RAISE EXCEPTION 'ledger transaction % does not balance', NEW.transaction_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_balance();
CREATE CONSTRAINT TRIGGER balanced AFTER INSERT ON ledger_transaction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_balance();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% never changes', TG_TABLE_NAME;
END $$;
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON invoice
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON invoice_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON document_pdf
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_note
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_note_line
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON document_chain
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON receipt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- What a household is paying together. An invoice is in at most one open checkout.
CREATE TABLE checkout (
    checkout_id  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    household_id uuid NOT NULL REFERENCES household,
    status       text NOT NULL CHECK (status IN ('open', 'settled', 'released')),
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    opened_at    timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL CHECK (expires_at > opened_at)
);
CREATE INDEX ON checkout (expires_at) WHERE status = 'open';

CREATE TABLE checkout_invoice (
    checkout_id  uuid NOT NULL REFERENCES checkout,
    invoice_id   uuid NOT NULL REFERENCES invoice,
    position     integer NOT NULL,
    amount_cents bigint NOT NULL CHECK (amount_cents > 0),
    open         boolean NOT NULL,
    PRIMARY KEY (checkout_id, invoice_id)
);
CREATE UNIQUE INDEX one_open_checkout ON checkout_invoice (invoice_id) WHERE open;
