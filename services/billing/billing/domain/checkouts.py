"""What a household pays together, of each invoice. Pure, in integer cents."""

from collections.abc import Mapping
from uuid import UUID

from billing.domain.failures import PartRefused


def parts(left_cents: Mapping[UUID, int], amount_cents: int | None, minimum_cents: int | None) -> dict[UUID, int]:
    """What is paid of each invoice, given oldest first: all that is left, or an amount of it.

    A part is ``minimum_cents`` at least, and leaves at least as much, so that what is left can be paid online too;
    ``PartRefused`` otherwise. An invoice that an amount does not reach is not paid at all.
    """
    due = sum(left_cents.values())
    rest = due if amount_cents is None else amount_cents
    if rest != due:
        _check_part(rest, due, minimum_cents)
    found = {}
    for invoice_id, left in left_cents.items():
        if part := min(left, rest):
            found[invoice_id] = part
            rest -= part
    return found


def _check_part(part: int, due: int, minimum: int | None) -> None:
    if minimum is None or 2 * minimum > due:
        raise PartRefused("these invoices are paid whole", due_cents=due)
    most = due - minimum
    if not minimum <= part <= most:
        raise PartRefused(
            "too small a part, or too little left", due_cents=due, minimum_cents=minimum, maximum_cents=most
        )
