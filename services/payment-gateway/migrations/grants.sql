-- What the running program may do, table by table; `migrate` applies this file each time, and revokes what is not in it.
-- What may be paid, as billing said it; where the household lives is forgotten with time.
GRANT SELECT, INSERT, UPDATE (opened) ON checkout TO :running_role;
-- A payment: what was frozen when it began is in no list.
GRANT SELECT, INSERT, UPDATE (payer_email, payer_name, status, bank_reference, bank_payment, payer_url, ticket_number,
    ticket, taken_cents, refunded_cents, surplus_cents, said, changed_at, look_up_at, asked_at, hinted_at, unanswered,
    last_word, failed_refunds, failed_refund_cents, contradicted_cents, credited_cents) ON payment TO :running_role;
GRANT SELECT, INSERT, UPDATE (last_number) ON attempt_series, ticket_series TO :running_role;
-- Its history is never rewritten; the bytes of a bank's word are trimmed with time, see the triggers.
GRANT SELECT, INSERT ON payment_move, till_decision, failed_refund, bank_refund, settlement TO :running_role;
GRANT SELECT, INSERT, UPDATE (query, headers, body, source, trimmed_at) ON bank_word TO :running_role;
GRANT SELECT, INSERT, UPDATE (seen) ON unknown_notice, signed_notice TO :running_role;
-- The files of the bank and of the treasury.
GRANT SELECT, INSERT, UPDATE (new_lines) ON remittance TO :running_role;
GRANT SELECT, INSERT ON remittance_line, remittance_note TO :running_role;
GRANT SELECT ON lump, arrived_at_treasury TO :running_role;
