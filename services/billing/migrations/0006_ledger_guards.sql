-- What must hold whoever writes, the owner of the tables too, and whatever the program does. Every check is made of the
-- rows that the same database transaction wrote: a row of another has another xmin. None of our programs writes in a
-- savepoint, which would give its rows a number of their own.

-- Every document is hashed in a written form of its own, by its version; see billing/domain/canonical.py.
ALTER TABLE document_chain ADD COLUMN version smallint NOT NULL DEFAULT 1 CHECK (version IN (1, 2));

-- An entry comes with its ledger transaction, and never later.
CREATE FUNCTION refuse_late_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT xmin <> pg_current_xact_id()::xid FROM ledger_transaction WHERE transaction_id = NEW.transaction_id)
        OR EXISTS (SELECT FROM ledger_chain WHERE transaction_id = NEW.transaction_id) THEN
        RAISE EXCEPTION 'ledger transaction % is closed: an entry comes with its transaction', NEW.transaction_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER with_its_transaction AFTER INSERT ON ledger_entry
    FOR EACH ROW EXECUTE FUNCTION refuse_late_entry();

-- A ledger transaction has the instant at which it is written. Its day is that of the instant; that of a receipt is the
-- day on which the money was received.
CREATE FUNCTION refuse_back_dating() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF abs(extract(epoch FROM NEW.at - now())) > 3600 THEN
        RAISE EXCEPTION 'ledger transaction % is dated %, and written at %', NEW.key, NEW.at, now();
    END IF;
    IF NEW.day NOT IN ((NEW.at AT TIME ZONE 'Europe/Paris')::date, (NEW.at AT TIME ZONE 'UTC')::date)
        AND NOT EXISTS (SELECT FROM receipt r WHERE NEW.key = 'receipt/' || r.receipt_id AND r.received_on = NEW.day
            AND r.xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'ledger transaction % is of %, and written at %', NEW.key, NEW.day, now();
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER not_back_dated AFTER INSERT ON ledger_transaction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_back_dating();

-- A line comes with its document, and the lines are its total.
CREATE FUNCTION refuse_late_invoice_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT xmin <> pg_current_xact_id()::xid FROM invoice WHERE invoice_id = NEW.invoice_id) THEN
        RAISE EXCEPTION 'invoice % is published: a line comes with its invoice', NEW.invoice_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER with_its_invoice AFTER INSERT ON invoice_line
    FOR EACH ROW EXECUTE FUNCTION refuse_late_invoice_line();
CREATE FUNCTION refuse_late_credit_note_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (SELECT xmin <> pg_current_xact_id()::xid FROM credit_note WHERE credit_note_id = NEW.credit_note_id) THEN
        RAISE EXCEPTION 'credit note % is published: a line comes with its credit note', NEW.credit_note_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER with_its_credit_note AFTER INSERT ON credit_note_line
    FOR EACH ROW EXECUTE FUNCTION refuse_late_credit_note_line();

-- A number is drawn from its counter by the transaction that uses it, and no number is drawn without a document.
CREATE FUNCTION numbered(the_series text, the_year integer, the_number bigint) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN the_series || the_year || '-' || lpad(the_number::text, greatest(6, length(the_number::text)), '0');

CREATE FUNCTION check_number() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parts text[] := regexp_match(NEW.number, '^(A-|R-)?(\d{4})-(\d+)$');
BEGIN
    IF NOT EXISTS (SELECT FROM document_counter c WHERE c.series = coalesce(parts[1], '') AND c.year = parts[2]::integer
        AND parts[3]::bigint BETWEEN 1 AND c.last AND c.xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'number % was not drawn from its counter by this transaction', NEW.number;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER number_is_drawn AFTER INSERT ON invoice FOR EACH ROW EXECUTE FUNCTION check_number();
CREATE CONSTRAINT TRIGGER number_is_drawn AFTER INSERT ON credit_note FOR EACH ROW EXECUTE FUNCTION check_number();
CREATE CONSTRAINT TRIGGER number_is_drawn AFTER INSERT ON receipt FOR EACH ROW EXECUTE FUNCTION check_number();

CREATE FUNCTION refuse_counter_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION 'a counter of numbers never goes';
    END IF;
    IF NEW.last <= OLD.last OR (NEW.series, NEW.year) IS DISTINCT FROM (OLD.series, OLD.year) THEN
        RAISE EXCEPTION 'the counter of % only goes forward', numbered(OLD.series, OLD.year, OLD.last);
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_forward BEFORE UPDATE OR DELETE ON document_counter
    FOR EACH ROW EXECUTE FUNCTION refuse_counter_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON document_counter
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_counter_change();

CREATE FUNCTION check_drawn() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    missing text;
BEGIN
    SELECT numbered(NEW.series, NEW.year, n) INTO missing
    FROM generate_series(CASE TG_OP WHEN 'UPDATE' THEN OLD.last ELSE 0 END + 1, NEW.last) n
    WHERE NOT CASE NEW.series
        WHEN '' THEN EXISTS (SELECT FROM invoice WHERE number = numbered(NEW.series, NEW.year, n)
            AND xmin = pg_current_xact_id()::xid)
        WHEN 'A-' THEN EXISTS (SELECT FROM credit_note WHERE number = numbered(NEW.series, NEW.year, n)
            AND xmin = pg_current_xact_id()::xid)
        ELSE EXISTS (SELECT FROM receipt WHERE number = numbered(NEW.series, NEW.year, n)
            AND xmin = pg_current_xact_id()::xid) END
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'number % is drawn and used by no document', missing;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER drawn_numbers_are_used AFTER INSERT OR UPDATE ON document_counter
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_drawn();

-- A document has its link of the chain and the debt that it says, and a link its document.
CREATE FUNCTION check_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.total_cents IS DISTINCT FROM (SELECT sum(amount_cents) FROM invoice_line WHERE invoice_id = NEW.invoice_id) THEN
        RAISE EXCEPTION 'invoice % is not the sum of its lines', NEW.number;
    END IF;
    IF NOT EXISTS (SELECT FROM document_chain WHERE number = NEW.number AND xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'invoice % is not in the chain of documents', NEW.number;
    END IF;
    IF NOT EXISTS (SELECT FROM ledger_transaction t JOIN ledger_entry e USING (transaction_id)
        WHERE t.key = 'invoice/' || NEW.invoice_id AND e.invoice_id = NEW.invoice_id
        AND e.household_id = NEW.household_id AND e.amount_cents = NEW.total_cents) THEN
        RAISE EXCEPTION 'the debt of invoice % is not in the ledger', NEW.number;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER published_whole AFTER INSERT ON invoice DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_invoice();
CREATE FUNCTION check_credit_note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.total_cents IS DISTINCT FROM
        (SELECT sum(amount_cents) FROM credit_note_line WHERE credit_note_id = NEW.credit_note_id) THEN
        RAISE EXCEPTION 'credit note % is not the sum of its lines', NEW.number;
    END IF;
    IF NOT EXISTS (SELECT FROM document_chain WHERE number = NEW.number AND xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'credit note % is not in the chain of documents', NEW.number;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER published_whole AFTER INSERT ON credit_note DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_credit_note();
CREATE FUNCTION check_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM invoice WHERE number = NEW.number AND xmin = pg_current_xact_id()::xid)
        AND NOT EXISTS (SELECT FROM credit_note WHERE number = NEW.number AND xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'link % of the chain comes without its document', NEW.number;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER with_its_document AFTER INSERT ON document_chain DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_link();

-- The chain of the ledger: each transaction is a link, written at its commit by the database itself. What is added to an
-- old transaction, changed or taken away shows in its digest; a digest that is renewed shows in every later hash. What
-- was written before this table is linked by `migrate`, some at a time (link_older).
CREATE TABLE ledger_chain (
    position       bigint PRIMARY KEY CHECK (position > 0),
    transaction_id bigint NOT NULL UNIQUE REFERENCES ledger_transaction,
    digest         bytea NOT NULL CHECK (length(digest) = 32),
    previous       bytea UNIQUE CHECK ((previous IS NULL) = (position = 1)),
    hash           bytea NOT NULL UNIQUE CHECK (hash = sha256(coalesce(previous, ''::bytea) || digest))
);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_chain
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- The written form of billing/domain/canonical.py: the length of a value in UTF-8, a colon, the value, a comma.
CREATE FUNCTION written(value text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN convert_to(coalesce(octet_length(convert_to(value, 'UTF8')) || ':' || value, '~') || ',', 'UTF8');

CREATE FUNCTION ledger_digest(the_transaction bigint) RETURNS bytea LANGUAGE sql STABLE
    RETURN (
        SELECT sha256(written('preau ledger transaction') || written('1') || written(t.transaction_id::text)
            || written(t.key)
            || written(to_char(t.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
            || written(to_char(t.day, 'YYYY-MM-DD')) || written(t.note)
            || (SELECT written(count(*)::text) || coalesce(string_agg(written(e.entry_id::text) || written(e.account)
                || written(e.household_id::text) || written(e.invoice_id::text) || written(e.product)
                || written(e.means) || written(e.till) || written(e.amount_cents::text), ''::bytea
                ORDER BY e.entry_id), ''::bytea) FROM ledger_entry e WHERE e.transaction_id = t.transaction_id))
        FROM ledger_transaction t WHERE t.transaction_id = the_transaction);

-- Whoever commits a ledger transaction waits here for the one before, from now to the end of its commit, and for nobody
-- afterwards. It runs as the owner: the running role itself writes no link. A plan that was made while the table was
-- nearly empty must not read it whole later.
CREATE FUNCTION link_transaction(the_transaction bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    content bytea := ledger_digest(the_transaction);
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('billing.ledger_chain'));
    INSERT INTO ledger_chain (position, transaction_id, digest, previous, hash)
        SELECT coalesce(max(c.position), 0) + 1, the_transaction, content, (array_agg(c.hash))[1],
            sha256(coalesce((array_agg(c.hash))[1], ''::bytea) || content)
        FROM (SELECT position, hash FROM ledger_chain ORDER BY position DESC LIMIT 1) c;
END $$;
CREATE FUNCTION link_new_transaction() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM link_transaction(NEW.transaction_id);
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER linked AFTER INSERT ON ledger_transaction DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION link_new_transaction();

-- Links the transactions after a number that have no link yet, so many at most; the last of them, NULL when there is none.
CREATE FUNCTION link_older(after bigint, at_most integer) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    older record;
    last_position bigint;
    last_hash bytea;
    last_id bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('billing.ledger_chain'));
    SELECT position, hash INTO last_position, last_hash FROM ledger_chain ORDER BY position DESC LIMIT 1;
    FOR older IN SELECT transaction_id, ledger_digest(transaction_id) AS digest FROM (
        SELECT transaction_id FROM ledger_transaction t WHERE transaction_id > after
        AND NOT EXISTS (SELECT FROM ledger_chain c WHERE c.transaction_id = t.transaction_id)
        ORDER BY transaction_id LIMIT at_most) t
    LOOP
        INSERT INTO ledger_chain (position, transaction_id, digest, previous, hash) VALUES (coalesce(last_position, 0) + 1,
            older.transaction_id, older.digest, last_hash, sha256(coalesce(last_hash, ''::bytea) || older.digest))
            RETURNING position, hash, transaction_id INTO last_position, last_hash, last_id;
    END LOOP;
    RETURN last_id;
END $$;
REVOKE EXECUTE ON FUNCTION link_transaction(bigint), link_older(bigint, integer) FROM PUBLIC;
