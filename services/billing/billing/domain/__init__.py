"""Prices, invoices, checkouts and the ledger's arithmetic; pure, in integer cents."""
