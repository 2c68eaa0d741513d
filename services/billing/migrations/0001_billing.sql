-- Households as auth tells of them.
CREATE TABLE household (
    household_id uuid PRIMARY KEY,
    version      bigint NOT NULL CHECK (version > 0),
    reference    text NOT NULL,
    name         text NOT NULL,
    address      text[] NOT NULL
);

CREATE TABLE tariff (
    activity_id      uuid NOT NULL,
    valid_from       date NOT NULL,
    activity_label   text NOT NULL,
    unit_price_cents bigint NOT NULL CHECK (unit_price_cents >= 0),
    PRIMARY KEY (activity_id, valid_from)
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
    PRIMARY KEY (household_id, child_id, activity_id, day)
);
CREATE INDEX usage_to_invoice ON usage (day) WHERE booked <> invoiced;

CREATE TABLE invoice_run (
    run_id       uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    month        date NOT NULL CHECK (extract(day FROM month) = 1),
    due_on       date NOT NULL,
    requested_by uuid NOT NULL,
    run_at       timestamptz NOT NULL,
    invoices     integer NOT NULL CHECK (invoices >= 0),
    total_cents  bigint NOT NULL CHECK (total_cents >= 0)
);

CREATE TABLE invoice_counter (
    year integer PRIMARY KEY,
    last integer NOT NULL CHECK (last >= 0)
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
    town                text NOT NULL,
    household_name      text NOT NULL,
    household_reference text NOT NULL,
    household_address   text[] NOT NULL
);
CREATE INDEX ON invoice (household_id, published_at DESC);

CREATE TABLE invoice_line (
    invoice_id       uuid NOT NULL REFERENCES invoice,
    position         integer NOT NULL,
    child_first_name text NOT NULL,
    activity_label   text NOT NULL,
    count            integer NOT NULL CHECK (count <> 0),
    unit_price_cents bigint NOT NULL CHECK (unit_price_cents >= 0),
    amount_cents     bigint NOT NULL CHECK (amount_cents = count * unit_price_cents),
    explanation      text NOT NULL,
    PRIMARY KEY (invoice_id, position)
);

CREATE TABLE invoice_pdf (
    invoice_id uuid PRIMARY KEY REFERENCES invoice,
    pdf        bytea NOT NULL
);

-- Double entry: every transaction's entries sum to zero, checked at commit. Amounts in cents; debits are positive.
CREATE TABLE ledger_transaction (
    transaction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key            text NOT NULL UNIQUE,
    at             timestamptz NOT NULL
);
CREATE TABLE ledger_entry (
    entry_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id bigint NOT NULL REFERENCES ledger_transaction,
    account        text NOT NULL CHECK (account IN ('receivable', 'revenue', 'bank', 'credit')),
    household_id   uuid NOT NULL,
    invoice_id     uuid REFERENCES invoice CHECK ((invoice_id IS NOT NULL) = (account = 'receivable')),
    amount_cents   bigint NOT NULL CHECK (amount_cents <> 0)
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
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON invoice_pdf
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
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
