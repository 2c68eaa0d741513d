"""Which overdue invoice is reminded of next, and when. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta

from contracts.api.reminders import OverdueInvoice


def next_on(days: Sequence[int], due_on: date, reminded_on: Sequence[date], today: date) -> date | None:
    """The day of the next reminder, today at the earliest; None after the last.

    ``days`` are counted from the invoice's last day. Two reminders of an invoice are never nearer to each other than
    the rule has them, even where the first was late: the rule is new, or the server was away.
    """
    step = len(reminded_on)
    if step >= len(days):
        return None
    wanted = due_on + timedelta(days=days[step])
    if step:
        wanted = max(wanted, reminded_on[-1] + timedelta(days=days[step] - days[step - 1]))
    return max(wanted, today)


def is_due(invoice: OverdueInvoice, today: date) -> bool:
    """Whether the invoice is reminded of today."""
    return invoice.waits is None and invoice.next_on == today
