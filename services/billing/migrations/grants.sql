-- What the running program may do, table by table; `migrate` applies this file each time, and revokes what is not in it.
-- What others tell.
GRANT SELECT, INSERT, UPDATE ON household, child TO :running_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON usage TO :running_role;
GRANT SELECT, INSERT, DELETE ON usage_before_rebuild TO :running_role;
GRANT SELECT, INSERT, UPDATE (ended) ON payment_hold TO :running_role;
-- What prices are made of. What is known of a household is never rewritten, a newer row holds.
GRANT SELECT, INSERT, UPDATE, DELETE ON tariff TO :running_role;
GRANT SELECT, INSERT ON household_terms TO :running_role;
-- A month being invoiced.
GRANT SELECT, INSERT, UPDATE (status, published_by, after_household, households, households_done, invoices, total_cents)
    ON invoice_run TO :running_role;
GRANT SELECT, INSERT, UPDATE (detail, amount_cents) ON invoice_anomaly TO :running_role;
GRANT SELECT, INSERT, UPDATE (last) ON document_counter TO :running_role;
-- What is published, received or entered in the ledger never changes.
GRANT SELECT, INSERT, UPDATE (invoice_id) ON invoice TO :running_role;  -- UPDATE: to lock it; a trigger refuses any
GRANT SELECT, INSERT ON invoice_line, credit_note, credit_note_line, document_chain, document_pdf TO :running_role;
GRANT SELECT, INSERT ON receipt, credit_use TO :running_role;
GRANT SELECT, INSERT (key, at, day, note) ON ledger_transaction TO :running_role;
GRANT SELECT, INSERT (transaction_id, account, household_id, invoice_id, product, means, till, amount_cents)
    ON ledger_entry TO :running_role;
-- What the database keeps of it by itself; only what was there before these tables is filled in by `migrate`.
GRANT SELECT ON ledger_chain, invoice_balance, invoice_pdf_due TO :running_role;
GRANT EXECUTE ON FUNCTION link_older(bigint, integer), fill_balances(uuid, integer) TO :running_role;
GRANT SELECT, UPDATE (found, checked_at, claimed_at) ON ledger_check TO :running_role;
-- Checkouts, reminders.
GRANT SELECT, INSERT, UPDATE (status) ON checkout TO :running_role;
GRANT SELECT, INSERT, UPDATE (open) ON checkout_invoice TO :running_role;
GRANT SELECT, INSERT ON reminder_rule, reminder, reminder_pause TO :running_role;
