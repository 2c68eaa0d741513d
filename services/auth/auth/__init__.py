"""Households, guardians, children, credentials, sessions and signing keys."""
