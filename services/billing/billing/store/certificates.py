"""What was paid for the care of children, by year."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from billing.domain.certificates import opens_tax_credit
from billing.domain.invoicing import shares
from chassis.database import Transaction
from contracts.api.billing import CertificateKey

_PAID = (
    "SELECT e.invoice_id, -sum(e.amount_cents)::bigint AS paid FROM ledger_entry e "
    "JOIN ledger_transaction t USING (transaction_id) WHERE e.household_id = $1 AND e.account = 'receivable' "
    "AND t.key NOT LIKE 'invoice/%' AND t.key NOT LIKE 'credit-note/%' AND t.day <= $2 GROUP BY e.invoice_id"
)


async def childcare_paid(tx: Transaction, household_id: UUID, year: int) -> dict[tuple[UUID, str], int]:
    """What was paid in a year, by child and activity, for care that opens the tax credit: without what a line asks
    besides care.

    A payment is of the whole invoice, so it is shared over the lines. The share of a year is what was paid up to its
    end less what was paid before it, so that years sum to what was paid, to the cent.
    """
    lines: dict[UUID, dict[tuple[UUID, str, bool], int]] = defaultdict(lambda: defaultdict(int))
    for row in await tx.fetch(
        "SELECT l.* FROM invoice_line l JOIN invoice i USING (invoice_id) WHERE i.household_id = $1", household_id
    ):
        whole = row["amount_cents"] if row["childcare"] else 0
        care = whole if row["childcare_cents"] is None else row["childcare_cents"]
        of = lines[row["invoice_id"]]
        of[row["child_id"], row["activity_label"], True] += care
        of[row["child_id"], row["activity_label"], False] += row["amount_cents"] - care
    found: dict[tuple[UUID, str], int] = defaultdict(int)
    for sign, until in ((1, date(year, 12, 31)), (-1, date(year - 1, 12, 31))):
        for row in await tx.fetch(_PAID, household_id, until):
            for (child_id, label, is_childcare), cents in shares(row["paid"], lines[row["invoice_id"]]).items():
                if is_childcare:
                    found[child_id, label] += sign * cents
    return {key: cents for key, cents in found.items() if cents > 0}


async def certificate_keys(tx: Transaction, household_id: UUID) -> list[CertificateKey]:
    """The years and children for which there is a certificate, newest first."""
    rows = await tx.fetch(
        "SELECT DISTINCT extract(year FROM t.day)::integer AS year FROM ledger_entry e "
        "JOIN ledger_transaction t USING (transaction_id) WHERE e.household_id = $1 AND e.account = 'receivable' "
        "AND t.key NOT LIKE 'invoice/%' AND EXISTS (SELECT FROM invoice_line l WHERE l.invoice_id = e.invoice_id "
        "AND l.childcare) ORDER BY year DESC",
        household_id,
    )
    known = {each["child_id"]: each for each in await children(tx, household_id)}
    return [
        CertificateKey(year=row["year"], child_id=child_id, child_first_name=known[child_id]["first_name"])
        for row in rows
        for child_id in dict.fromkeys(key[0] for key in await childcare_paid(tx, household_id, row["year"]))
        if child_id in known and opens_tax_credit(known[child_id]["birth_date"], row["year"])
    ]


async def children(tx: Transaction, household_id: UUID) -> Sequence[Any]:
    """The household's children, the eldest first."""
    return await tx.fetch("SELECT * FROM child WHERE household_id = $1 ORDER BY birth_date, child_id", household_id)
