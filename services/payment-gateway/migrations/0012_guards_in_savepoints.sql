-- The guards of 0009_payment_guards.sql hold what is written to one transaction. They compared the xmin of a row with the
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

CREATE OR REPLACE FUNCTION check_told() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payment_move WHERE payment_id = NEW.payment_id AND from_status = OLD.status
        AND to_status = NEW.status AND is_of_this_transaction(xmin)) THEN
        RAISE EXCEPTION 'payment % goes from % to % without a row of its history', NEW.payment_id, OLD.status, NEW.status;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_done() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payment WHERE payment_id = NEW.payment_id AND is_of_this_transaction(xmin))
        OR (SELECT to_status FROM payment_move WHERE payment_id = NEW.payment_id ORDER BY move_id DESC LIMIT 1)
        IS DISTINCT FROM (SELECT status FROM payment WHERE payment_id = NEW.payment_id) THEN
        RAISE EXCEPTION 'the history of payment % says what did not happen', NEW.payment_id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_ticket() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    parts text[] := regexp_match(NEW.ticket_number, '^T-(\d{4})-(\d+)$');
BEGIN
    IF OLD.ticket_number IS NOT NULL THEN
        RAISE EXCEPTION 'the ticket of payment % never changes', OLD.payment_id;
    END IF;
    IF NOT EXISTS (SELECT FROM ticket_series WHERE year = parts[1]::integer AND last_number = parts[2]::bigint
        AND is_of_this_transaction(xmin)) THEN
        RAISE EXCEPTION 'ticket number % was not drawn by this transaction', NEW.ticket_number;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION check_ticket_drawn() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM payment WHERE is_of_this_transaction(xmin) AND ticket_number = 'T-' || NEW.year || '-'
        || lpad(NEW.last_number::text, greatest(6, length(NEW.last_number::text)), '0')) THEN
        RAISE EXCEPTION 'ticket number % of % is drawn and used by no payment', NEW.last_number, NEW.year;
    END IF;
    RETURN NULL;
END $$;
