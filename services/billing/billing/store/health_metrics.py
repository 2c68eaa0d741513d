"""What says whether billing is well."""

from chassis.health_metrics import Gauge, HealthMetric

HEALTH_METRICS = (
    HealthMetric(
        name="ledger_imbalance_cents",
        description="cents by which the ledger's transactions do not balance",
        query="SELECT found FROM ledger_check WHERE name = 'imbalance_cents'",
        threshold=0,
        for_minutes=0,
        remedy="The database refuses this: somebody worked around it. Stop billing, run `verify`, restore or correct.",
    ),
    HealthMetric(
        name="ledger_wrong_balances",
        description="invoices of which something else is kept as left to pay than the ledger says",
        query="SELECT found FROM ledger_check WHERE name = 'wrong_balances'",
        threshold=0,
        for_minutes=0,
        remedy="The database keeps them by itself: somebody worked around it. Run `verify`, restore or correct.",
    ),
    HealthMetric(
        name="ledger_check_late_seconds",
        description="how late the hourly check of the whole ledger is",
        query="SELECT greatest(0, extract(epoch FROM now() - min(checked_at)) - 3600) FROM ledger_check",
        threshold=7_200,
        for_minutes=10,
        remedy="The job `check_ledger` runs each hour: look for its failure in billing's log.",
    ),
    HealthMetric(
        name="checkouts_overdue",
        description="checkouts that should have been let go an hour ago",
        query="SELECT count(*) FROM checkout c WHERE status = 'open' AND expires_at < now() - interval '4 hours' "
        "AND NOT EXISTS (SELECT FROM payment_hold h WHERE h.checkout_id = c.checkout_id AND NOT h.ended)",
        threshold=0,
        for_minutes=60,
        remedy="Their invoices cannot be paid again: look for a failing job in billing's log.",
    ),
    HealthMetric(
        name="invoice_run_silent_seconds",
        description="age of a run that is being prepared or published",
        query="SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0) FROM invoice_run "
        "WHERE status IN ('drafting', 'publishing')",
        threshold=86_400,
        for_minutes=10,
        remedy="It goes on by itself when billing runs: look for a failing job in billing's log.",
    ),
)
GAUGES = (
    Gauge(
        name="owed_cents",
        description="what all households owe",
        query="SELECT coalesce(sum(left_cents), 0) FROM invoice_balance WHERE left_cents > 0",
    ),
    Gauge(
        name="collected_today_cents",
        description="what the tills took since midnight in Paris, less what was given back",
        query="SELECT coalesce(sum(amount_cents), 0) FROM ledger_entry JOIN ledger_transaction USING (transaction_id) "
        "WHERE account = 'bank' AND day = (now() AT TIME ZONE 'Europe/Paris')::date",
    ),
)
