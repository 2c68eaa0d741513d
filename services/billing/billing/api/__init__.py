"""billing's doors."""

from billing.api import checkouts, invoices, runs

ROUTES = (*runs.routes, *invoices.routes, *checkouts.routes)
