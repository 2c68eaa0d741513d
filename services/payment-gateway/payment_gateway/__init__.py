"""Payments at the bank, the raw journal of its notifications, tickets."""
