"""Tariffs, usage, invoices, checkouts and the ledger."""
