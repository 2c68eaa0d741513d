"""What says whether billing is well."""

from chassis.vitals import Figure, Vital

VITALS = (
    Vital(
        name="ledger_imbalance_cents",
        says="cents by which the ledger's transactions do not balance",
        query="SELECT coalesce(sum(abs(off)), 0) FROM (SELECT sum(amount_cents) AS off FROM ledger_entry "
        "GROUP BY transaction_id HAVING sum(amount_cents) <> 0) it",
        most=0,
        minutes=0,
        remedy="The database refuses this: somebody worked around it. Stop billing, run `verify`, restore or correct.",
    ),
    Vital(
        name="checkouts_overdue",
        says="checkouts that should have been let go an hour ago",
        query="SELECT count(*) FROM checkout c WHERE status = 'open' AND expires_at < now() - interval '4 hours' "
        "AND NOT EXISTS (SELECT FROM payment_hold h WHERE h.checkout_id = c.checkout_id AND NOT h.ended)",
        most=0,
        minutes=60,
        remedy="Their invoices cannot be paid again: look for a failing job in billing's log.",
    ),
    Vital(
        name="invoice_run_silent_seconds",
        says="age of a run that is being prepared or published",
        query="SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM invoice_run "
        "WHERE status IN ('drafting', 'publishing')",
        most=86_400,
        minutes=10,
        remedy="It goes on by itself when billing runs: look for a failing job in billing's log.",
    ),
)
FIGURES = (
    Figure(
        name="owed_cents",
        says="what all households owe",
        query="SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry WHERE account = 'receivable'",
    ),
    Figure(
        name="collected_today_cents",
        says="what the tills took since midnight in Paris, less what was given back",
        query="SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry JOIN ledger_transaction USING (transaction_id) "
        "WHERE account = 'bank' AND day = (now() AT TIME ZONE 'Europe/Paris')::date",
    ),
)
