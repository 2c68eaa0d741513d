"""Whose care opens the tax credit. Pure."""

from datetime import date

AGE_MAX = 6


def opens_tax_credit(birth_date: date, year: int) -> bool:
    """Whether the child is under six on 1 January of the year (CGI, article 200 quater B)."""
    return birth_date > date(year - AGE_MAX, 1, 1)
