-- What is asked every minute is kept, not summed anew over all the years: what is left of each invoice, which invoices
-- have no PDF yet, and what the last check of the whole ledger found. What was there before is filled in by `migrate`,
-- some at a time (fill_balances).

-- What is left to pay of an invoice: the sum of its entries, kept in the transaction that writes them, by the owner's
-- trigger; the running role only reads it.
CREATE TABLE invoice_balance (
    invoice_id uuid PRIMARY KEY REFERENCES invoice,
    left_cents bigint NOT NULL
);
CREATE INDEX invoice_open ON invoice_balance (invoice_id) INCLUDE (left_cents) WHERE left_cents > 0;

CREATE FUNCTION keep_balance() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp SET enable_seqscan = off AS $$
DECLARE
    more record;
BEGIN
    FOR more IN SELECT invoice_id, sum(amount_cents)::bigint AS cents FROM added WHERE invoice_id IS NOT NULL
        GROUP BY invoice_id ORDER BY invoice_id
    LOOP
        UPDATE invoice_balance SET left_cents = left_cents + more.cents WHERE invoice_id = more.invoice_id;
        IF NOT FOUND THEN  -- one that was never filled in has all its entries to add up
            INSERT INTO invoice_balance AS b (invoice_id, left_cents)
                SELECT more.invoice_id, sum(amount_cents) FROM ledger_entry WHERE invoice_id = more.invoice_id
                ON CONFLICT (invoice_id) DO UPDATE SET left_cents = b.left_cents + more.cents;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER balance_kept AFTER INSERT ON ledger_entry REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION keep_balance();

-- Invoices whose PDF is still to be made, oldest first.
CREATE TABLE invoice_pdf_due (
    number       text PRIMARY KEY,
    invoice_id   uuid NOT NULL REFERENCES invoice,
    published_at timestamptz NOT NULL
);
CREATE INDEX ON invoice_pdf_due (published_at, number);
CREATE FUNCTION note_pdf_due() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO invoice_pdf_due (number, invoice_id, published_at) VALUES (NEW.number, NEW.invoice_id, NEW.published_at);
    RETURN NULL;
END $$;
CREATE TRIGGER pdf_due AFTER INSERT ON invoice FOR EACH ROW EXECUTE FUNCTION note_pdf_due();
CREATE FUNCTION note_pdf_made() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    DELETE FROM invoice_pdf_due WHERE number = NEW.number;
    RETURN NULL;
END $$;
CREATE TRIGGER pdf_made AFTER INSERT ON document_pdf FOR EACH ROW EXECUTE FUNCTION note_pdf_made();

-- What the last check of the whole ledger found, each hour by the replica that claims it.
CREATE TABLE ledger_check (
    name       text PRIMARY KEY CHECK (name IN ('imbalance_cents', 'wrong_balances')),
    found      bigint NOT NULL DEFAULT 0,
    checked_at timestamptz NOT NULL DEFAULT now(),
    claimed_at timestamptz
);
INSERT INTO ledger_check (name) VALUES ('imbalance_cents'), ('wrong_balances');

-- Fills in the balances of the next invoices after an id, and which of them have no PDF; the last id, NULL at the end.
CREATE FUNCTION fill_balances(after uuid, at_most integer) RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
DECLARE
    next_ids uuid[] := ARRAY(SELECT invoice_id FROM invoice WHERE after IS NULL OR invoice_id > after
        ORDER BY invoice_id LIMIT at_most);
BEGIN
    INSERT INTO invoice_balance (invoice_id, left_cents)
        SELECT n, (SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry e WHERE e.invoice_id = n)
        FROM unnest(next_ids) n WHERE NOT EXISTS (SELECT FROM invoice_balance b WHERE b.invoice_id = n)
        ON CONFLICT DO NOTHING;
    INSERT INTO invoice_pdf_due (number, invoice_id, published_at)
        SELECT number, invoice_id, published_at FROM invoice i WHERE invoice_id = ANY(next_ids)
        AND NOT EXISTS (SELECT FROM document_pdf p WHERE p.number = i.number) ON CONFLICT DO NOTHING;
    RETURN next_ids[cardinality(next_ids)];
END $$;
REVOKE EXECUTE ON FUNCTION fill_balances(uuid, integer) FROM PUBLIC;
