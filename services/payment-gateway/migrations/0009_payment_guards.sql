-- What must hold whoever writes, the owner of the tables too. Every check is made of the rows that the same database
-- transaction wrote: a row of another has another xmin. None of our programs writes in a savepoint, which would give its
-- rows a number of their own.

-- A payment begins as nothing but an attempt, and is never deleted.
CREATE FUNCTION refuse_ready_made() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        RAISE EXCEPTION '% is never deleted', TG_TABLE_NAME;
    END IF;
    IF NEW.status <> 'created' OR NEW.refunded_cents <> 0 OR NEW.surplus_cents <> 0
        OR num_nonnulls(NEW.ticket_number, NEW.ticket, NEW.taken_cents, NEW.said) > 0 THEN
        RAISE EXCEPTION 'payment % begins as % instead of an attempt', NEW.payment_id, NEW.status;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER begins_as_an_attempt BEFORE INSERT ON payment FOR EACH ROW EXECUTE FUNCTION refuse_ready_made();
CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON payment
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_ready_made();

-- Its status, and what it took and gave back, change with a row of its history, and never otherwise; and a row of the
-- history comes with the change that it tells of.
CREATE FUNCTION check_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payment_move WHERE payment_id = NEW.payment_id AND from_status = OLD.status
        AND to_status = NEW.status AND xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'payment % goes from % to % without a row of its history', NEW.payment_id, OLD.status, NEW.status;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER told AFTER UPDATE ON payment DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN ((OLD.status, OLD.taken_cents, OLD.refunded_cents, OLD.ticket_number)
        IS DISTINCT FROM (NEW.status, NEW.taken_cents, NEW.refunded_cents, NEW.ticket_number))
    EXECUTE FUNCTION check_told();
CREATE FUNCTION check_done() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payment WHERE payment_id = NEW.payment_id AND xmin = pg_current_xact_id()::xid)
        OR (SELECT to_status FROM payment_move WHERE payment_id = NEW.payment_id ORDER BY move_id DESC LIMIT 1)
        IS DISTINCT FROM (SELECT status FROM payment WHERE payment_id = NEW.payment_id) THEN
        RAISE EXCEPTION 'the history of payment % says what did not happen', NEW.payment_id;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER done AFTER INSERT ON payment_move DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_done();

-- The ticket of a payment never changes, and its number is drawn by the transaction that confirms.
CREATE FUNCTION check_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parts text[] := regexp_match(NEW.ticket_number, '^T-(\d{4})-(\d+)$');
BEGIN
    IF OLD.ticket_number IS NOT NULL THEN
        RAISE EXCEPTION 'the ticket of payment % never changes', OLD.payment_id;
    END IF;
    IF NOT EXISTS (SELECT FROM ticket_series WHERE year = parts[1]::integer AND last_number = parts[2]::bigint
        AND xmin = pg_current_xact_id()::xid) THEN
        RAISE EXCEPTION 'ticket number % was not drawn by this transaction', NEW.ticket_number;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ticket_stays AFTER UPDATE ON payment FOR EACH ROW
    WHEN ((OLD.ticket_number, OLD.ticket) IS DISTINCT FROM (NEW.ticket_number, NEW.ticket))
    EXECUTE FUNCTION check_ticket();

-- Numbers go forward by one, those of tickets with the payment that has it.
CREATE FUNCTION refuse_series_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        RAISE EXCEPTION '% is never deleted', TG_TABLE_NAME;
    END IF;
    IF NEW.last_number <> OLD.last_number + 1
        OR to_jsonb(NEW) - 'last_number' IS DISTINCT FROM to_jsonb(OLD) - 'last_number' THEN
        RAISE EXCEPTION '% only goes forward, by one', TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER only_forward BEFORE UPDATE OR DELETE ON ticket_series
    FOR EACH ROW EXECUTE FUNCTION refuse_series_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON ticket_series
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_series_change();
CREATE TRIGGER only_forward BEFORE UPDATE OR DELETE ON attempt_series
    FOR EACH ROW EXECUTE FUNCTION refuse_series_change();
CREATE FUNCTION check_ticket_drawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payment WHERE xmin = pg_current_xact_id()::xid AND ticket_number = 'T-' || NEW.year || '-'
        || lpad(NEW.last_number::text, greatest(6, length(NEW.last_number::text)), '0')) THEN
        RAISE EXCEPTION 'ticket number % of % is drawn and used by no payment', NEW.last_number, NEW.year;
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER drawn_number_is_used AFTER INSERT OR UPDATE ON ticket_series
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_ticket_drawn();

-- What a file of the bank said is kept as it came, but for how much of it was new.
CREATE FUNCTION refuse_another_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'UPDATE' OR to_jsonb(NEW) - 'new_lines' IS DISTINCT FROM to_jsonb(OLD) - 'new_lines' THEN
        RAISE EXCEPTION 'a remittance never changes';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON remittance FOR EACH ROW EXECUTE FUNCTION refuse_another_file();

-- How many calls of the last hours were of nobody is asked at each scrape, and there are some for every hour of the years.
CREATE INDEX ON unknown_notice (hour);
