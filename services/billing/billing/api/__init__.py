"""billing's doors."""

from billing.api import checkouts, credit_notes, invoices, reminders, runs, tariffs, till

ROUTES = (
    *runs.routes,
    *tariffs.routes,
    *invoices.routes,
    *credit_notes.routes,
    *checkouts.routes,
    *till.routes,
    *reminders.routes,
)
