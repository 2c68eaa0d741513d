-- The guards of 0006_ledger_guards.sql hold what is written to one transaction. They compared the xmin of a row with the
-- number of the transaction, and a row that is written in a savepoint has a number of its own: a handler that runs inside
-- the transaction of its idempotency key (chassis/idempotency.py) was refused its own rows.

-- Whether the present transaction, or a savepoint of it, wrote a row that it sees. The number of a savepoint is higher than
-- that of its transaction. A row of another transaction is seen only once that has committed, so a row that is seen, and
-- whose transaction is in progress, is one's own. A number of two thousand million transactions ago may seem to lie in the
-- future, which pg_xact_status refuses: such a row is not one's own either.
CREATE FUNCTION is_of_this_transaction(row_xmin xid) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    present bigint := pg_current_xact_id()::text::bigint;
    ahead bigint := (row_xmin::text::bigint - present % 4294967296 + 4294967296) % 4294967296;
BEGIN
    IF ahead = 0 OR ahead >= 2147483648 THEN
        RETURN ahead = 0;
    END IF;
    BEGIN
        RETURN coalesce(pg_xact_status((present + ahead)::text::xid8) = 'in progress', false);
    EXCEPTION WHEN invalid_parameter_value THEN
        RETURN false;
    END;
END $$;

CREATE OR REPLACE FUNCTION refuse_late_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT NOT is_of_this_transaction(xmin) FROM ledger_transaction WHERE transaction_id = NEW.transaction_id)
        OR EXISTS (SELECT FROM ledger_chain WHERE transaction_id = NEW.transaction_id) THEN
        RAISE EXCEPTION 'ledger transaction % is closed: an entry comes with its transaction', NEW.transaction_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION refuse_back_dating() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF abs(extract(epoch FROM NEW.at - now())) > 3600 THEN
        RAISE EXCEPTION 'ledger transaction % is dated %, and written at %', NEW.key, NEW.at, now();
    END IF;
    IF NEW.day NOT IN ((NEW.at AT TIME ZONE 'Europe/Paris')::date, (NEW.at AT TIME ZONE 'UTC')::date)
        AND NOT EXISTS (SELECT FROM receipt r WHERE NEW.key = 'receipt/' || r.receipt_id AND r.received_on = NEW.day
            AND is_of_this_transaction(r.xmin)) THEN
        RAISE EXCEPTION 'ledger transaction % is of %, and written at %', NEW.key, NEW.day, now();
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION refuse_late_invoice_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT NOT is_of_this_transaction(xmin) FROM invoice WHERE invoice_id = NEW.invoice_id) THEN
        RAISE EXCEPTION 'invoice % is published: a line comes with its invoice', NEW.invoice_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION refuse_late_credit_note_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT NOT is_of_this_transaction(xmin) FROM credit_note WHERE credit_note_id = NEW.credit_note_id) THEN
        RAISE EXCEPTION 'credit note % is published: a line comes with its credit note', NEW.credit_note_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_number() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parts text[] := regexp_match(NEW.number, '^(A-|R-)?(\d{4})-(\d+)$');
BEGIN
    IF NOT EXISTS (SELECT FROM document_counter c WHERE c.series = coalesce(parts[1], '') AND c.year = parts[2]::integer
        AND parts[3]::bigint BETWEEN 1 AND c.last AND is_of_this_transaction(c.xmin)) THEN
        RAISE EXCEPTION 'number % was not drawn from its counter by this transaction', NEW.number;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_drawn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    missing text;
BEGIN
    SELECT numbered(NEW.series, NEW.year, n) INTO missing
    FROM generate_series(CASE TG_OP WHEN 'UPDATE' THEN OLD.last ELSE 0 END + 1, NEW.last) n
    WHERE NOT CASE NEW.series
        WHEN '' THEN EXISTS (SELECT FROM invoice WHERE number = numbered(NEW.series, NEW.year, n)
            AND is_of_this_transaction(xmin))
        WHEN 'A-' THEN EXISTS (SELECT FROM credit_note WHERE number = numbered(NEW.series, NEW.year, n)
            AND is_of_this_transaction(xmin))
        ELSE EXISTS (SELECT FROM receipt WHERE number = numbered(NEW.series, NEW.year, n)
            AND is_of_this_transaction(xmin)) END
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'number % is drawn and used by no document', missing;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.total_cents IS DISTINCT FROM (SELECT sum(amount_cents) FROM invoice_line WHERE invoice_id = NEW.invoice_id) THEN
        RAISE EXCEPTION 'invoice % is not the sum of its lines', NEW.number;
    END IF;
    IF NOT EXISTS (SELECT FROM document_chain WHERE number = NEW.number AND is_of_this_transaction(xmin)) THEN
        RAISE EXCEPTION 'invoice % is not in the chain of documents', NEW.number;
    END IF;
    IF NOT EXISTS (SELECT FROM ledger_transaction t JOIN ledger_entry e USING (transaction_id)
        WHERE t.key = 'invoice/' || NEW.invoice_id AND e.invoice_id = NEW.invoice_id
        AND e.household_id = NEW.household_id AND e.amount_cents = NEW.total_cents) THEN
        RAISE EXCEPTION 'the debt of invoice % is not in the ledger', NEW.number;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_credit_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.total_cents IS DISTINCT FROM
        (SELECT sum(amount_cents) FROM credit_note_line WHERE credit_note_id = NEW.credit_note_id) THEN
        RAISE EXCEPTION 'credit note % is not the sum of its lines', NEW.number;
    END IF;
    IF NOT EXISTS (SELECT FROM document_chain WHERE number = NEW.number AND is_of_this_transaction(xmin)) THEN
        RAISE EXCEPTION 'credit note % is not in the chain of documents', NEW.number;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM invoice WHERE number = NEW.number AND is_of_this_transaction(xmin))
        AND NOT EXISTS (SELECT FROM credit_note WHERE number = NEW.number AND is_of_this_transaction(xmin)) THEN
        RAISE EXCEPTION 'link % of the chain comes without its document', NEW.number;
    END IF;
    RETURN NULL;
END $$;
